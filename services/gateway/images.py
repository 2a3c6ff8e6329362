"""Passes pictures on from the retrieval service, piece by piece."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack

import httpx
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from imagetext.wire.errors import NotFound
from services.gateway.deadline import Deadline
from services.gateway.upstream import Upstream

_ID = re.compile(r"[0-9a-f]{16}")
_ASKED_WITH = ("If-None-Match", "If-Modified-Since")
_ANSWERED_WITH = ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control")
_LONGEST_S = 300.0  # a client that reads more slowly holds a connection that others need


class RelayedImage(StreamingResponse):
    """An upstream answer on its way to our caller; it is closed at the end, whoever ends it."""

    def __init__(self, image: httpx.Response, opened: AsyncExitStack) -> None:
        headers = {name: image.headers[name] for name in _ANSWERED_WITH if name in image.headers}
        # What is in an indexed folder was put there by many hands: a browser is to show it, not to interpret it.
        headers["X-Content-Type-Options"] = "nosniff"
        super().__init__(image.aiter_raw(), image.status_code, headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened, asyncio.timeout(_LONGEST_S):
            await super().__call__(scope, receive, send)


async def relay_image(
    retrieval: Upstream,
    path: str,
    *,
    deadline: Deadline,
    headers: Mapping[str, str],
) -> RelayedImage:
    """The picture at `path`; of the caller's `headers` only those that make a request conditional travel."""
    conditions = {name: headers[name] for name in _ASKED_WITH if name in headers}
    async with AsyncExitStack() as opening:
        image = await opening.enter_async_context(retrieval.stream(path, deadline=deadline, headers=conditions))
        return RelayedImage(image, opening.pop_all())


def checked_id(image_id: str) -> str:
    """`image_id` if a picture could have it: nothing else gets into a path. Raises NotFound."""
    if not _ID.fullmatch(image_id):
        raise NotFound("There is no picture with this id.")
    return image_id
