"""Reads a multipart upload: pictures in the field `image`, options in fields of their own."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from pydantic import BaseModel
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from imagetext.wire.errors import InvalidParameter

PICTURE_FIELD = "image"

_MAX_OPTION_FIELDS = 20
_MAX_OPTION_BYTES = 4_000


@dataclass(frozen=True)
class Upload:
    pictures: list[bytes] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def is_form(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().startswith("multipart/form-data")


def documented_form(
    options: Mapping[str, object], *, max_pictures: int, or_json: type[BaseModel] | None = None
) -> dict[str, object]:
    """The documentation of a body that `read_upload` reads, which FastAPI cannot tell: it is read by hand.

    Args:
        options: the schema of each field beside the pictures.
        or_json: what the body may be instead.
    """
    picture = {"type": "string", "format": "binary"}
    several = {"type": "array", "items": picture, "minItems": 1, "maxItems": max_pictures}
    properties = {PICTURE_FIELD: picture if max_pictures == 1 else several, **options}
    form = {"type": "object", "required": [PICTURE_FIELD], "properties": properties}
    content: dict[str, object] = {"multipart/form-data": {"schema": form}}
    if or_json is not None:
        content["application/json"] = {"schema": or_json.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


async def read_upload(request: Request, *, max_pictures: int, max_option_bytes: int = _MAX_OPTION_BYTES) -> Upload:
    """The parts of a multipart body, in order.

    Raises:
        InvalidParameter: not multipart, not readable, no picture or too many, a file in another field,
            text in `image`, an option twice.
    """
    if not is_form(request):
        raise InvalidParameter(f"Send multipart/form-data with a picture in the field `{PICTURE_FIELD}`.")
    form = _Form(max_pictures, max_option_bytes)
    try:
        await form.read(request)
    except (FormParserError, _Unreadable):
        raise InvalidParameter(
            f"The form cannot be read: it is damaged, or has more than {max_pictures} pictures, "
            f"{_MAX_OPTION_FIELDS} options or {max_option_bytes} bytes in one option."
        ) from None
    upload = Upload()
    for part in form.parts:
        _take(upload, part)
    if not 1 <= len(upload.pictures) <= max_pictures:
        raise InvalidParameter(f"Send 1 to {max_pictures} pictures in the field `{PICTURE_FIELD}`.")
    return upload


class _Unreadable(Exception):
    pass


@dataclass
class _Part:
    name: str = ""
    is_file: bool = False
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    disposition: bytes = b""

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


class _Form:
    """Collects the parts as the parser finds them. Pictures stay in memory: their number and the body are bounded."""

    def __init__(self, max_pictures: int, max_option_bytes: int) -> None:
        # One file more than is allowed, so that the sentence about too many is ours.
        self._left = {True: max_pictures + 1, False: _MAX_OPTION_FIELDS}
        self._max_option_bytes = max_option_bytes
        self._part = _Part()
        self._header = b""
        self.parts: list[_Part] = []  # those that are whole

    async def read(self, request: Request) -> None:
        """Raises FormParserError and _Unreadable."""
        _, options = parse_options_header(request.headers["Content-Type"])
        if not options.get(b"boundary"):
            raise _Unreadable
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                parser.write(chunk)
        parser.finalize()

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header == b"content-disposition":
            self._part.disposition += data[start:end]

    def _header_end(self) -> None:
        self._header = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        if b"name" not in options:
            raise _Unreadable
        self._part.name = _decoded(options[b"name"])
        self._part.is_file = b"filename" in options
        self._left[self._part.is_file] -= 1
        if self._left[self._part.is_file] < 0:
            raise _Unreadable

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part.pieces.append(data[start:end])
        self._part.size += end - start
        if not self._part.is_file and self._part.size > self._max_option_bytes:
            raise _Unreadable

    def _end(self) -> None:
        self.parts.append(self._part)


def _take(upload: Upload, part: _Part) -> None:
    if part.is_file:
        if part.name != PICTURE_FIELD:
            raise InvalidParameter(f"A file came in the field `{part.name[:60]}`; pictures go into `{PICTURE_FIELD}`.")
        upload.pictures.append(part.content)
    elif part.name == PICTURE_FIELD:
        raise InvalidParameter(f"Field `{PICTURE_FIELD}` must be a file, with a file name.")
    elif part.name in upload.options:
        raise InvalidParameter(f"Field `{part.name[:60]}` was sent twice.")
    else:
        upload.options[part.name] = _decoded(part.content)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
