"""Pictures that travel inside JSON.

Reads a request about pictures in any of its forms: pictures in a form, one in base64, or one by its address.

The parts of a search, its pictures decoded from base64.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from imagetext.wire.contracts import MAX_SEARCH_FIELD_BYTES, SearchRequest
from imagetext.wire.errors import InvalidParameter
from imagetext.wire.query import Part, parts_of
from services.chassis.forms import is_form, read_upload
from services.chassis.json_body import AT_ONCE_BYTES
from services.chassis.problems import sentence_of


def decode_base64_picture(text: str) -> bytes:
    """The bytes of a picture in base64, line breaks allowed, or in a `data:` URI.

    Raises:
        InvalidParameter: neither of them.
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


Options = TypeVar("Options", bound=BaseModel)


async def read_picture_request(
    request: Request, options: type[Options], in_json: type[BaseModel], *, max_pictures: int
) -> tuple[list[bytes] | str, Options]:
    """The pictures, or the address of one, and what is asked of them. Raises InvalidParameter."""
    if is_form(request):
        upload = await read_upload(request, max_pictures=max_pictures, max_option_bytes=MAX_SEARCH_FIELD_BYTES)
        return upload.pictures, _checked(options, upload.options)
    body = await request.body()
    return await asyncio.to_thread(
        _read_json, body, options, in_json
    )  # megabytes of base64 are read off the event loop


async def read_pictures(
    request: Request, options: type[Options], in_json: type[BaseModel], *, max_pictures: int
) -> tuple[list[bytes], Options]:
    """As `read_picture_request`, for a service that fetches nothing."""
    pictures, found = await read_picture_request(request, options, in_json, max_pictures=max_pictures)
    if isinstance(pictures, str):
        raise InvalidParameter("Field `url`: only the gateway fetches pictures; send the picture itself here.")
    return pictures, found


def _read_json(body: bytes, options: type[Options], in_json: type[BaseModel]) -> tuple[list[bytes] | str, Options]:
    try:
        sent = in_json.model_validate_json(body)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
    asked = options.model_validate(sent.model_dump(include=set(options.model_fields)))
    url, image = getattr(sent, "url", None), getattr(sent, "image", None)
    if url is not None and image is None:
        return str(url), asked
    if image is not None and url is None:
        return [decode_base64_picture(image)], asked
    raise InvalidParameter("Send either `url` or `image`.")


def _checked(options: type[Options], fields: dict[str, str]) -> Options:
    try:
        return options.model_validate(fields)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None


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
