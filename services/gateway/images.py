"""Single pictures of the index: relayed from the retrieval service piece by piece, added and deleted."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import httpx
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from imagetext.wire.errors import NotFound
from imagetext.wire.index import AddOptions, AddReply, DeleteReply, IndexInfo
from services.gateway.messages import form_body
from services.gateway.upstream import Deadline, Upstream
from services.gateway.watched import Watched

_ID = re.compile(r"[0-9a-f]{16}")
_CONDITIONS = ("If-None-Match", "If-Modified-Since")  # the request headers that are passed on
_PASSED_ON = ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control")  # of a response
_MAX_STREAM_S = 300.0  # a client that reads more slowly holds a connection that others need


def checked_id(image_id: str) -> str:
    """`image_id`, if a picture could have it: nothing else gets into a path. Raises NotFound."""
    if not _ID.fullmatch(image_id):
        raise NotFound("There is no picture with this id.")
    return image_id


class RelayedImage(StreamingResponse):
    """A response of the retrieval service on its way to our caller; it is closed at the end, whoever ends it."""

    def __init__(self, image: httpx.Response, opened: AsyncExitStack) -> None:
        headers = {name: image.headers[name] for name in _PASSED_ON if name in image.headers}
        # Many people put files into an indexed folder: a browser is to show them, not to interpret them.
        headers["X-Content-Type-Options"] = "nosniff"
        super().__init__(image.aiter_raw(), image.status_code, headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened, asyncio.timeout(_MAX_STREAM_S):
            await super().__call__(scope, receive, send)


async def relay_image(
    retrieval: Upstream, path: str, *, deadline: Deadline, headers: Mapping[str, str]
) -> RelayedImage:
    """The picture at `path`; of the caller's `headers` only the conditions are passed on."""
    conditions = {name: headers[name] for name in _CONDITIONS if name in headers}
    async with AsyncExitStack() as opening:
        image = await opening.enter_async_context(retrieval.stream(path, deadline=deadline, headers=conditions))
        return RelayedImage(image, opening.pop_all())


class Changes:
    """Pictures added and deleted; searches that begin after the reply see the change."""

    def __init__(self, upstream: Upstream, index: Watched[IndexInfo]) -> None:
        self._upstream = upstream
        self._index = index

    async def add(self, pictures: Sequence[bytes], options: AddOptions, deadline: Deadline) -> AddReply:
        reply = await self._upstream.post("/v1/images", form_body(pictures, options), deadline)
        await self._learn_version()
        return self._upstream.parsed(AddReply, reply)

    async def delete(self, image_id: str, deadline: Deadline) -> DeleteReply:
        reply = await self._upstream.delete(f"/v1/images/{image_id}", deadline)
        await self._learn_version()
        return self._upstream.parsed(DeleteReply, reply)

    async def _learn_version(self) -> None:
        """Makes sure that nothing from before the change is served from the cache."""
        await self._index.refresh()
        if self._index.trouble is not None:
            self._index.forget()
