"""The caption service's part of the public API."""

from fastapi import APIRouter, Request, Response

from imagetext.contracts import CaptionJSONRequest, CaptionOptions, CaptionReply, Models
from services.caption.captioning import Captioning
from services.caption.settings import MAX_PICTURES
from services.chassis.disconnect import while_connected
from services.chassis.forms import documented_form
from services.chassis.picture_requests import read_pictures

router = APIRouter(prefix="/v1", tags=["captions"])

_BODY = documented_form(
    CaptionOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES, or_json=CaptionJSONRequest
)


@router.post("/captions", response_model=CaptionReply, response_model_exclude_none=True, openapi_extra=_BODY)
async def caption(request: Request) -> Response:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    captioning: Captioning = request.state.captioning
    with request.state.admission.enter():
        pictures, options = await read_pictures(request, CaptionOptions, CaptionJSONRequest, max_pictures=MAX_PICTURES)
        reply = await while_connected(request, captioning.caption(pictures, options))
    # Written here: FastAPI would check every number of the attention maps once more.
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


@router.get("/models")
async def models(request: Request) -> Models:
    """The captioners that are loaded."""
    captioning: Captioning = request.state.captioning
    return Models(models=captioning.models)
