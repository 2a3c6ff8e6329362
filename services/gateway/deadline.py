"""By when an answer must be there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from imagetext.errors import DeadlineExceeded


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
