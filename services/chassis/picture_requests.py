"""Reads a request about pictures in any of its forms: pictures in a form, one in base64, or one by its address."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from imagetext.contracts import MAX_SEARCH_FIELD_BYTES
from imagetext.errors import InvalidParameter
from services.chassis.base64_pictures import decode_base64_picture
from services.chassis.forms import is_form, read_upload
from services.chassis.problems import sentence_of

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
