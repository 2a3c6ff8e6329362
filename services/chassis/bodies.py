"""Reads request bodies: a form with pictures and options, or JSON; and documents them in OpenAPI.

Endpoints read their bodies themselves instead of declaring FastAPI parameters, because FastAPI reads a body before
anything else runs: a request over the limit of `Admission` must be refused before its pictures are in memory.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from imagetext.wire.errors import InvalidParameter
from services.chassis.problems import NOT_JSON, checked, checked_json

PICTURE_FIELD = "image"
AT_ONCE_BYTES = 256 * 1024  # JSON up to this size is parsed on the event loop: faster than handing it to a thread

_MAX_OPTION_FIELDS = 20
_MAX_OPTION_BYTES = 4_000

Contract = TypeVar("Contract", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """The parts of a form, pictures in the order in which they were sent."""

    pictures: list[bytes]
    options: dict[str, str]


class _InMemoryParser(MultiPartParser):
    """Starlette's parser without temporary files: the number of pictures and the size of the body are limited."""

    spool_max_size = 0  # bytes before a file moves to disk; 0 means never


def is_form(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().startswith("multipart/form-data")


async def read_upload(request: Request, *, max_pictures: int, max_option_bytes: int = _MAX_OPTION_BYTES) -> Upload:
    """The pictures and options of a multipart body.

    Raises:
        InvalidParameter: the body is not multipart or damaged; it has no picture or more than `max_pictures`, a file
            in another field than `image`, text in `image`, or the same option twice.
    """
    if not is_form(request):
        raise InvalidParameter(f"Send multipart/form-data with a picture in the field `{PICTURE_FIELD}`.")
    parser = _InMemoryParser(
        request.headers,
        request.stream(),
        max_files=max_pictures + 1,  # so that one too many gets the message below
        max_fields=_MAX_OPTION_FIELDS,
        max_part_size=max_option_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise InvalidParameter(
            f"The form cannot be read: it is damaged, or has more than {max_pictures} pictures, "
            f"{_MAX_OPTION_FIELDS} options or {max_option_bytes} bytes in one option."
        ) from None
    try:
        upload = _upload(form.multi_items())
    finally:
        await form.close()
    if not 1 <= len(upload.pictures) <= max_pictures:
        raise InvalidParameter(f"Send 1 to {max_pictures} pictures in the field `{PICTURE_FIELD}`.")
    return upload


def _upload(fields: list[tuple[str, UploadFile | str]]) -> Upload:
    upload = Upload([], {})
    for name, value in fields:
        if isinstance(value, UploadFile):
            if name != PICTURE_FIELD:
                raise InvalidParameter(f"A file came in the field `{name[:60]}`; pictures go into `{PICTURE_FIELD}`.")
            with value.file as file:  # closed one by one: no more than one picture is in memory twice
                upload.pictures.append(file.read())
        elif name == PICTURE_FIELD:
            raise InvalidParameter(f"Field `{PICTURE_FIELD}` must be a file, with a file name.")
        elif name in upload.options:
            raise InvalidParameter(f"Field `{name[:60]}` was sent twice.")
        else:
            upload.options[name] = value
    return upload


async def read_form(
    request: Request, options: type[Contract], *, max_pictures: int, max_option_bytes: int = _MAX_OPTION_BYTES
) -> tuple[list[bytes], Contract]:
    """As `read_upload`, with the options checked. Raises InvalidParameter."""
    upload = await read_upload(request, max_pictures=max_pictures, max_option_bytes=max_option_bytes)
    return upload.pictures, checked(options, upload.options)


async def read_json(request: Request, kind: type[Contract]) -> Contract:
    """The body as a `kind`; a large one is parsed off the event loop.

    Raises:
        InvalidParameter: not JSON, not sent as JSON, or not a `kind`.
    """
    if not _is_json(request.headers.get("Content-Type", "")):
        raise InvalidParameter(NOT_JSON)
    body = await request.body()
    if len(body) <= AT_ONCE_BYTES:
        return checked_json(kind, body)
    return await asyncio.to_thread(checked_json, kind, body)


def _is_json(media_type: str) -> bool:
    if media_type == "application/json":
        return True
    message = Message()
    message["Content-Type"] = media_type
    main, sub = message.get_content_maintype(), message.get_content_subtype()
    return main == "application" and (sub == "json" or sub.endswith("+json"))


def documented_form(
    options: Mapping[str, object], *, max_pictures: int, or_json: type[BaseModel] | None = None
) -> dict[str, object]:
    """`openapi_extra` of an endpoint that calls `read_upload`.

    Args:
        options: the schema of each field beside the pictures.
        max_pictures: most pictures in one request.
        or_json: what the body may be instead.
    """
    picture = {"type": "string", "format": "binary"}
    several = {"type": "array", "items": picture, "minItems": 1, "maxItems": max_pictures}
    properties = {PICTURE_FIELD: picture if max_pictures == 1 else several, **options}
    form = {"type": "object", "required": [PICTURE_FIELD], "properties": properties}
    json = {} if or_json is None else _json_content(or_json)
    return _request_body({"multipart/form-data": {"schema": form}} | json)


def documented_json(kind: type[BaseModel]) -> dict[str, object]:
    """`openapi_extra` of an endpoint that calls `read_json`."""
    return _request_body(_json_content(kind))


def _request_body(content: dict[str, object]) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": content}}


def _json_content(kind: type[BaseModel]) -> dict[str, object]:
    schema = kind.model_json_schema()
    return {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}}


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references: they would point into the whole OpenAPI document."""
    match part:
        case {"$ref": str(reference), **others}:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions) | others
        case dict():
            return {name: _inlined(value, definitions) for name, value in part.items()}
        case list():
            return [_inlined(value, definitions) for value in part]
    return part
