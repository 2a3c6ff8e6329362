"""The parts of a search, its pictures decoded from base64."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from imagetext.contracts import SearchRequest
from imagetext.query import Part, parts_of
from services.chassis.base64_pictures import decode_base64_picture
from services.chassis.json_body import AT_ONCE_BYTES


async def query_parts(request: SearchRequest) -> list[Part]:
    """The parts of a search in JSON; what a picture holds is bytes. Of much base64 the event loop is kept free.

    Raises:
        InvalidParameter: there is nothing to search for, or a part is impossible.
    """
    parts = parts_of(request)
    if sum(len(part.content) for part in parts if part.kind == "image") <= AT_ONCE_BYTES:
        return _decoded(parts)
    return await asyncio.to_thread(_decoded, parts)


def _decoded(parts: Sequence[Part]) -> list[Part]:
    return [
        replace(part, content=decode_base64_picture(part.content))
        if part.kind == "image" and isinstance(part.content, str)
        else part
        for part in parts
    ]
