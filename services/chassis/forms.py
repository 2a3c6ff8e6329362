"""Reads a multipart upload: pictures in the field `image`, options in fields of their own."""

from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from imagetext.errors import InvalidParameter

PICTURE_FIELD = "image"

_MAX_OPTION_FIELDS = 20
_MAX_OPTION_BYTES = 4_000


@dataclass(frozen=True)
class Upload:
    pictures: list[bytes] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def is_form(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().startswith("multipart/form-data")


async def read_upload(request: Request, *, max_pictures: int) -> Upload:
    """The parts of a multipart body, in order.

    Raises:
        InvalidParameter: not multipart, not readable, no picture or too many, a file in another field,
            text in `image`, an option twice.
    """
    if not is_form(request):
        raise InvalidParameter(f"Send multipart/form-data with a picture in the field `{PICTURE_FIELD}`.")
    upload = Upload()
    try:
        # One file more than is allowed, so that the sentence about too many is ours.
        form = request.form(max_files=max_pictures + 1, max_fields=_MAX_OPTION_FIELDS, max_part_size=_MAX_OPTION_BYTES)
        async with form as parts:
            for name, value in parts.multi_items():
                await _take(upload, name, value)
    except HTTPException:
        raise InvalidParameter(
            f"The form cannot be read: it is damaged, or has more than {max_pictures} pictures, "
            f"{_MAX_OPTION_FIELDS} options or {_MAX_OPTION_BYTES} bytes in one option."
        ) from None
    if not 1 <= len(upload.pictures) <= max_pictures:
        raise InvalidParameter(f"Send 1 to {max_pictures} pictures in the field `{PICTURE_FIELD}`.")
    return upload


async def _take(upload: Upload, name: str, value: UploadFile | str) -> None:
    if isinstance(value, UploadFile):
        if name != PICTURE_FIELD:
            raise InvalidParameter(f"A file came in the field `{name[:60]}`; pictures go into `{PICTURE_FIELD}`.")
        upload.pictures.append(await value.read())
    elif name == PICTURE_FIELD:
        raise InvalidParameter(f"Field `{PICTURE_FIELD}` must be a file, with a file name.")
    elif name in upload.options:
        raise InvalidParameter(f"Field `{name[:60]}` was sent twice.")
    else:
        upload.options[name] = value
