"""Bounds how much is asked of a service at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imagetext.errors import Busy
from services.gateway.deadline import Deadline


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
