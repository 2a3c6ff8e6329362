"""By when an answer must be there.

Bounds how much is asked of a service at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from imagetext.wire.errors import Busy, DeadlineExceeded


@dataclass(frozen=True)
class Deadline:
    at: float  # seconds on the event loop's clock

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(asyncio.get_running_loop().time() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds that are left, never less than zero."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Stops what runs inside when the time is up, with DeadlineExceeded."""
        try:
            async with asyncio.timeout_at(self.at):
                yield
        except TimeoutError:
            raise DeadlineExceeded("The answer was not ready in time.") from None


class Gate:
    """Lets `at_once` inside and keeps up to `queue` waiting in order of arrival."""

    def __init__(self, at_once: int, queue: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._queue = queue
        self._waiting = 0

    @asynccontextmanager
    async def passed(self, deadline: Deadline) -> AsyncIterator[None]:
        """Holds a place inside. Raises Busy when the queue is full, DeadlineExceeded when the turn comes too late."""
        if self._places.locked() and self._waiting >= self._queue:
            raise Busy("Too many requests wait already; try again soon.")
        self._waiting += 1
        try:
            async with deadline.enforced():
                await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()
