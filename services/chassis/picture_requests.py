"""Requests about pictures in each of their forms: multipart, JSON with base64, or JSON with an address to fetch."""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from imagetext.wire.errors import InvalidParameter
from imagetext.wire.query import Part, parts_of
from imagetext.wire.search import MAX_SEARCH_FIELD_BYTES, SearchRequest
from services.chassis.bodies import AT_ONCE_BYTES, is_form, read_form, read_json

Options = TypeVar("Options", bound=BaseModel)


async def read_picture_request(
    request: Request, options: type[Options], in_json: type[BaseModel], *, max_pictures: int
) -> tuple[list[bytes] | str, Options]:
    """The pictures, or the address of one, and the options. Raises InvalidParameter."""
    if is_form(request):
        return await read_form(request, options, max_pictures=max_pictures, max_option_bytes=MAX_SEARCH_FIELD_BYTES)
    sent = await read_json(request, in_json)
    asked = options.model_validate(sent.model_dump(include=set(options.model_fields)))
    url, image = getattr(sent, "url", None), getattr(sent, "image", None)
    if url is not None and image is None:
        return str(url), asked
    if image is not None and url is None:
        return [await asyncio.to_thread(decode_base64_picture, image)], asked
    raise InvalidParameter("Send either `url` or `image`.")


async def read_pictures(
    request: Request, options: type[Options], in_json: type[BaseModel], *, max_pictures: int
) -> tuple[list[bytes], Options]:
    """As `read_picture_request`, for a service that fetches nothing. Raises InvalidParameter."""
    pictures, found = await read_picture_request(request, options, in_json, max_pictures=max_pictures)
    if isinstance(pictures, str):
        raise InvalidParameter("Field `url`: only the gateway fetches pictures; send the picture itself here.")
    return pictures, found


async def query_parts(request: SearchRequest) -> list[Part]:
    """The parts of a search, pictures as bytes; much base64 is decoded off the event loop.

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


def decode_base64_picture(text: str) -> bytes:
    """The bytes of a picture in base64, bare or in a `data:` URI; line breaks are allowed.

    Raises:
        InvalidParameter: not base64.
    """
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise InvalidParameter("Field `image`: a data: URI must hold base64.")
    try:
        # Command line tools break base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters outside ASCII
        raise InvalidParameter("Field `image` is not valid base64.") from None
