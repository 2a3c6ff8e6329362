"""What a service says of itself, asked again and again: cached answers are looked up under its present version.

Changes of single pictures: passed on to the retrieval service, and seen by the searches that come after.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel

from imagetext.wire.contracts import AddOptions, AddReply, DeleteReply, IndexInfo
from imagetext.wire.errors import ImageTextError, Unavailable
from services.gateway.deadline import Deadline
from services.gateway.messages import form_body
from services.gateway.upstream import Upstream

_PATIENCE_S = 2.0
_SHORTEST_PAUSE_S = 0.05

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
log = logging.getLogger(__name__)


class Watched(Generic[T]):
    """`value` is the newest answer and outlives failures; `trouble` is a sentence while the service is not ready."""

    def __init__(self, name: str, ask: Callable[[Deadline], Awaitable[T]], *, every_s: float) -> None:
        self.value: T | None = None
        self.trouble: str | None = f"The {name} service has not answered yet."
        self._name = name
        self._ask = ask
        self._every_s = every_s
        self._woken = asyncio.Event()
        self._asked = self._answered = 0

    async def refresh(self) -> None:
        self._woken.clear()
        self._asked = asked = self._asked + 1
        try:
            value = await self._ask(Deadline.after(_PATIENCE_S))
            if asked < self._answered:  # who asked later knows better
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
        """What is known counts no more, though no newer answer came; the next one does."""
        self.value = None

    async def pause(self) -> None:
        """Waits until it is time to ask again."""
        await asyncio.sleep(min(_SHORTEST_PAUSE_S, self._every_s))
        try:
            async with asyncio.timeout(self._every_s):
                await self._woken.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """Asks soon: an answer came that does not fit `value`."""
        self._woken.set()


def described_by(upstream: Upstream, kind: type[M], path: str) -> Callable[[Deadline], Awaitable[M]]:
    """Asks a ready service for its description at `path`; raises Unavailable with its own words if it is not ready."""

    async def ask(deadline: Deadline) -> M:
        health = await upstream.health(deadline)
        if health.status != "ok":
            raise Unavailable(" ".join(health.parts.values()) or f"The {upstream.name} service is not ready.")
        return await upstream.get(kind, path, deadline)

    return ask


class Changes:
    def __init__(self, upstream: Upstream, index: Watched[IndexInfo]) -> None:
        self._upstream = upstream
        self._index = index

    async def add(self, pictures: Sequence[bytes], options: AddOptions, deadline: Deadline) -> AddReply:
        """Adding the same again changes nothing, so it may be asked twice."""
        reply = await self._upstream.post("/v1/images", form_body(pictures, options), deadline)
        await self._see()
        return self._upstream.parsed(AddReply, reply)

    async def delete(self, image_id: str, deadline: Deadline) -> DeleteReply:
        reply = await self._upstream.delete(f"/v1/images/{image_id}", deadline)
        await self._see()
        return self._upstream.parsed(DeleteReply, reply)

    async def _see(self) -> None:
        """Before the reply: who has it is not to be answered from what was cached before."""
        await self._index.refresh()
        if self._index.trouble is not None:
            self._index.forget()
