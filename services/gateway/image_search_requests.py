"""Reads a search by picture: a form with one picture and the page of hits that is wanted."""

from fastapi import Request
from pydantic import Field, ValidationError

from imagetext.contracts import MAX_OFFSET, Contract, HitCount
from imagetext.errors import InvalidParameter
from services.chassis.forms import read_upload
from services.chassis.problems import sentence_of


class HitsPage(Contract):
    """The option fields of POST /v1/search/image."""

    k: HitCount = 12
    offset: int = Field(0, ge=0, le=MAX_OFFSET)


def image_search_body() -> dict[str, object]:
    options = HitsPage.model_json_schema()["properties"]
    picture = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["image"], "properties": {"image": picture, **options}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


async def read_image_search(request: Request) -> tuple[bytes, HitsPage]:
    """The picture and the page. Raises InvalidParameter."""
    upload = await read_upload(request, max_pictures=1)
    try:
        return upload.pictures[0], HitsPage.model_validate(upload.options)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
