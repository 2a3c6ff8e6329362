"""Pictures added, replaced and deleted, by whoever knows the operator's key."""

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from imagetext.contracts import MAX_METADATA_BYTES, AddOptions, AddReply, DeleteReply
from imagetext.errors import InvalidParameter
from services.chassis.admission import Admission
from services.chassis.forms import documented_form, read_upload
from services.chassis.problems import sentence_of
from services.gateway.changes import Changes
from services.gateway.deadline import Deadline
from services.gateway.images import checked_id
from services.gateway.operator_key import require_operator
from services.gateway.settings import MAX_PICTURES

change_router = APIRouter(prefix="/v1", dependencies=[Depends(require_operator)], tags=["images"])


_ADD_BODY = documented_form(AddOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES)


@change_router.post("/images", response_model_exclude_none=True, openapi_extra=_ADD_BODY)
async def add(request: Request) -> AddReply:
    """Adds 1 to 16 pictures to the index, or replaces those of the same paths: one result or error for each, in order.

    They are on the disk and found by searches before the reply.
    """
    changes: Changes = request.state.changes
    admission: Admission = request.state.admission
    with admission.enter():
        upload = await read_upload(request, max_pictures=MAX_PICTURES, max_option_bytes=MAX_METADATA_BYTES)
        try:
            options = AddOptions.model_validate(upload.options)
        except ValidationError as error:
            raise InvalidParameter(sentence_of(error.errors())) from None
        return await changes.add(upload.pictures, options, Deadline.after(request.state.deadline_s))


@change_router.delete("/images/{image_id}")
async def delete(request: Request, image_id: str) -> DeleteReply:
    """Deletes a picture from the index; from the reply on it is not found any more."""
    changes: Changes = request.state.changes
    return await changes.delete(checked_id(image_id), Deadline.after(request.state.deadline_s))
