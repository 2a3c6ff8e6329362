"""Single pictures added, replaced and deleted. Who may do so is the gateway's to say: this service stands behind it."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from imagetext.contracts import (
    INDEX_VERSION_HEADER,
    MAX_METADATA_BYTES,
    MAX_PICTURES,
    AddOptions,
    AddReply,
    DeleteReply,
)
from imagetext.errors import NotFound
from services.chassis.forms import documented_form, read_upload
from services.chassis.plain_route import PlainRoute
from services.retrieval.lifespan import Retrieval
from services.retrieval.new_pictures import new_pictures
from services.retrieval.picture_changes import PictureChanges

change_router = APIRouter(prefix="/v1", tags=["images"], route_class=PlainRoute)

_ADD_BODY = documented_form(AddOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES)
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


@change_router.post("/images", response_model=AddReply, openapi_extra=_ADD_BODY)
async def add(request: Request) -> Response:
    """Adds 1 to 16 pictures to the index, or replaces those of the same paths."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.change_admission.enter():
        upload = await read_upload(request, max_pictures=MAX_PICTURES, max_option_bytes=MAX_METADATA_BYTES)
        return _reply(await _changes(retrieval).add(await asyncio.to_thread(new_pictures, upload)))


@change_router.delete("/images/{id}", response_model=DeleteReply, openapi_extra={"parameters": [_ID]})
async def delete(request: Request) -> Response:
    """Deletes a picture from the index."""
    retrieval: Retrieval = request.state.retrieval
    with retrieval.change_admission.enter():
        return _reply(await _changes(retrieval).delete(request.path_params["id"]))


def _changes(retrieval: Retrieval) -> PictureChanges:
    """Raises NotFound where the versions lie in no folder that this service writes."""
    if retrieval.changes is None:
        raise NotFound("This index lies in no folder of this service: only the indexer changes it.")
    return retrieval.changes


def _reply(reply: AddReply | DeleteReply) -> Response:
    headers = {INDEX_VERSION_HEADER: reply.index.version}
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json", headers=headers)
