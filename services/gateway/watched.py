"""What a service reports about itself, polled: cached answers are looked up under its present version."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

from pydantic import BaseModel

from imagetext.wire.errors import ImageTextError, Unavailable
from services.gateway.upstream import Deadline, Upstream

_POLL_TIMEOUT_S = 2.0
_MIN_PAUSE_S = 0.05

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
log = logging.getLogger(__name__)


class Watched(Generic[T]):
    """`value` is the newest report and outlives failures; `trouble` is a sentence while the service is not ready."""

    def __init__(self, name: str, ask: Callable[[Deadline], Awaitable[T]], *, every_s: float) -> None:
        self.value: T | None = None
        self.trouble: str | None = f"The {name} service has not answered yet."
        self._name = name
        self._ask = ask
        self._every_s = every_s
        self._woken = asyncio.Event()
        self._asked = self._answered = 0  # numbers of polls

    async def refresh(self) -> None:
        self._woken.clear()
        self._asked = asked = self._asked + 1
        try:
            value = await self._ask(Deadline.after(_POLL_TIMEOUT_S))
            if asked < self._answered:  # a later poll was answered first
                return
            self._answered = asked
        except ImageTextError as error:
            if self.trouble != error.detail:
                log.warning("the %s service is not ready: %s", self._name, error.detail)
            self.trouble = error.detail
            return
        if self.trouble is not None:
            log.info("the %s service is ready", self._name)
        self.value, self.trouble = value, None

    def forget(self) -> None:
        """Drops a value that is out of date, though the new one is not known yet."""
        self.value = None

    def wake(self) -> None:
        """Polls soon: a reply came that does not fit `value`."""
        self._woken.set()

    async def pause(self) -> None:
        """Waits for the time of the next poll."""
        await asyncio.sleep(min(_MIN_PAUSE_S, self._every_s))
        try:
            async with asyncio.timeout(self._every_s):
                await self._woken.wait()
        except TimeoutError:
            return


def polled(upstream: Upstream, kind: type[M], path: str) -> Callable[[Deadline], Awaitable[M]]:
    """Asks a service for its report at `path`; raises Unavailable with the service's own words if it is not ready."""

    async def ask(deadline: Deadline) -> M:
        health = await upstream.health(deadline)
        if health.status != "ok":
            raise Unavailable(" ".join(health.parts.values()) or f"The {upstream.name} service is not ready.")
        return await upstream.get(kind, path, deadline)

    return ask


async def repeat(step: Callable[[], Awaitable[None]], pause: Callable[[], Awaitable[None]]) -> NoReturn:
    """Runs `step` and `pause` in turn until cancelled; an error is logged and ends nothing."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("background work failed; it goes on")
        await pause()
