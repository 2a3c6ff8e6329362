"""The caption service's part of the public API."""

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from imagetext.contracts import CaptionJSONRequest, CaptionOptions, CaptionReply, Models
from imagetext.errors import InvalidParameter
from services.caption.captioning import Captioning
from services.caption.settings import MAX_PICTURES
from services.chassis.base64_pictures import decode_base64_picture
from services.chassis.disconnect import while_connected
from services.chassis.forms import documented_form, is_form, read_upload
from services.chassis.problems import sentence_of

router = APIRouter(prefix="/v1", tags=["captions"])

_BODY = documented_form(
    CaptionOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES, or_json=CaptionJSONRequest
)


@router.post("/captions", response_model=CaptionReply, response_model_exclude_none=True, openapi_extra=_BODY)
async def caption(request: Request) -> Response:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    captioning: Captioning = request.state.captioning
    with request.state.admission.enter():
        pictures, options = await (_read_form(request) if is_form(request) else _read_json(request))
        reply = await while_connected(request, captioning.caption(pictures, options))
    # Written here: FastAPI would check every number of the attention maps once more.
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


@router.get("/models")
async def models(request: Request) -> Models:
    """The captioners that are loaded."""
    captioning: Captioning = request.state.captioning
    return Models(models=captioning.models)


async def _read_form(request: Request) -> tuple[list[bytes], CaptionOptions]:
    upload = await read_upload(request, max_pictures=MAX_PICTURES)
    try:
        return upload.pictures, CaptionOptions.model_validate(upload.options)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None


async def _read_json(request: Request) -> tuple[list[bytes], CaptionOptions]:
    body = await request.body()
    # Megabytes of base64 are read off the event loop.
    return await asyncio.to_thread(_picture_in_json, body)


def _picture_in_json(body: bytes) -> tuple[list[bytes], CaptionOptions]:
    try:
        request = CaptionJSONRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
    if request.url is not None:
        raise InvalidParameter("Field `url`: only the gateway fetches pictures; send the picture itself here.")
    if request.image is None:
        raise InvalidParameter("Field `image` is missing.")
    return [decode_base64_picture(request.image)], request
