"""Changes of single pictures: passed on to the retrieval service, and seen by the searches that come after."""

from collections.abc import Sequence

from imagetext.contracts import AddOptions, AddReply, DeleteReply, IndexInfo
from services.gateway.deadline import Deadline
from services.gateway.outgoing import form_body
from services.gateway.upstream import Upstream
from services.gateway.watched import Watched


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
