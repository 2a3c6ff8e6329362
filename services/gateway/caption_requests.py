"""Reads a caption request in any of its forms: pictures in a form, one in base64, or one by its address."""

import asyncio

from fastapi import Request
from pydantic import ValidationError

from imagetext.contracts import CaptionJSONRequest, CaptionOptions
from imagetext.errors import InvalidParameter
from services.chassis.base64_pictures import decode_base64_picture
from services.chassis.forms import documented_form, is_form, read_upload
from services.chassis.problems import sentence_of
from services.gateway.settings import MAX_PICTURES


def caption_body() -> dict[str, object]:
    """The body's documentation; FastAPI would tell it from parameters, but a body of two kinds is read by hand."""
    options = CaptionOptions.model_json_schema()["properties"]
    return documented_form(options, max_pictures=MAX_PICTURES, or_json=CaptionJSONRequest)


async def read_caption_request(request: Request) -> tuple[list[bytes] | str, CaptionOptions]:
    """The pictures, or the address of one, and how to caption them. Raises InvalidParameter."""
    if is_form(request):
        upload = await read_upload(request, max_pictures=MAX_PICTURES)
        return upload.pictures, _checked_options(upload.options)
    body = await request.body()
    return await asyncio.to_thread(_read_json, body)  # megabytes of base64 are read off the event loop


def _read_json(body: bytes) -> tuple[list[bytes] | str, CaptionOptions]:
    try:
        sent = CaptionJSONRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
    options = CaptionOptions.model_validate(sent.model_dump(include=set(CaptionOptions.model_fields)))
    if sent.url is not None and sent.image is None:
        return sent.url, options
    if sent.image is not None and sent.url is None:
        return [decode_base64_picture(sent.image)], options
    raise InvalidParameter("Send either `url` or `image`.")


def _checked_options(fields: dict[str, str]) -> CaptionOptions:
    try:
        return CaptionOptions.model_validate(fields)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
