"""How one host is treated: few requests at once, a pause between them, and silence when it asks for that."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from training.data.download.reasons import Lost, Reason

# Failures in a row after which a host is asked no more in this run: dead hosts would cost a time limit each address.
MAX_FAILURES = 8

_FAILURES = frozenset({Reason.UNKNOWN_HOST, Reason.UNREACHABLE, Reason.TIMEOUT, Reason.BROKEN_OFF})


@dataclass(frozen=True)
class Politeness:
    """Requests at once to one host, seconds between their beginnings, and the longest wait a host may ask for."""

    at_once: int = 4
    pause_s: float = 0.1
    max_wait_s: float = 120.0


class Host:
    def __init__(self, politeness: Politeness) -> None:
        self._politeness = politeness
        self._turns = asyncio.Semaphore(politeness.at_once)
        self._next = 0.0  # on the monotonic clock
        self._failures = 0
        self._given_up: Reason | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the host may be asked; what is lost inside is remembered. Raises Lost when it was given up."""
        async with self._turns:
            # In a loop, because somebody else may have had the next place, or an order to wait longer, meanwhile.
            while (wait := self._next - time.monotonic()) > 0 and not self._given_up:  # noqa: ASYNC110
                await asyncio.sleep(wait)
            if self._given_up:
                raise Lost(self._given_up, again=False)
            self._next = time.monotonic() + self._politeness.pause_s
            try:
                yield
            except Lost as lost:
                self._remember(lost)
                raise
            self._failures = 0

    def _remember(self, lost: Lost) -> None:
        if lost.wait_s is not None:
            if lost.wait_s > self._politeness.max_wait_s:
                self._given_up = Reason.BUSY
            self._next = max(self._next, time.monotonic() + min(lost.wait_s, self._politeness.max_wait_s))
        self._failures = self._failures + 1 if lost.reason in _FAILURES else 0
        if self._failures >= MAX_FAILURES:
            self._given_up = Reason.HOST_GIVEN_UP


class Hosts(defaultdict[str, Host]):
    """Host name -> how it stands with it."""

    def __init__(self, politeness: Politeness) -> None:
        super().__init__(lambda: Host(politeness))
