"""Reads a search by picture: a form with one picture and the options of the search."""

from fastapi import Request
from pydantic import ValidationError

from imagetext.contracts import MAX_SEARCH_FIELD_BYTES, ImageSearchOptions
from imagetext.errors import InvalidParameter
from services.chassis.forms import documented_form, read_upload
from services.chassis.problems import sentence_of


def image_search_body() -> dict[str, object]:
    return documented_form(ImageSearchOptions.form_properties(), max_pictures=1)


async def read_image_search(request: Request) -> tuple[bytes, ImageSearchOptions]:
    """The picture and the options. Raises InvalidParameter."""
    upload = await read_upload(request, max_pictures=1, max_option_bytes=MAX_SEARCH_FIELD_BYTES)
    try:
        return upload.pictures[0], ImageSearchOptions.model_validate(upload.options)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None
