"""What is sent to the services, in pieces that are never joined, and what they reply.

A reply that is an error becomes the error that our own caller sees.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ValidationError

from imagetext.wire.contracts import Problem
from imagetext.wire.errors import (
    Busy,
    CannotPublish,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidParameter,
    InvalidPicture,
    NotAPicture,
    NotFound,
    TooLarge,
    Unavailable,
)
from services.chassis.problems import MEDIA_TYPE

_PICTURE_HEAD = (
    b'--%b\r\nContent-Disposition: form-data; name="image"; filename="picture"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
_FIELD_HEAD = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'

# The errors of a service that our caller sees as they are: those about the request, and those that pass.
_PERMANENT = (
    *(ImageTextError, InvalidPicture, NotFound, CannotPublish, TooLarge, NotAPicture, InvalidParameter),
    *(DeadlineExceeded, IndexFull),
)
_TEMPORARY = (Busy, Unavailable)
_MAX_RETRY_AFTER_S = 60


@dataclass(frozen=True)
class Body(httpx.AsyncByteStream):
    media_type: str
    pieces: Sequence[bytes]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.pieces))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


NO_BODY = Body("", ())


def json_body(content: BaseModel) -> Body:
    """The fields of `content` that are not None."""
    return Body("application/json", (content.model_dump_json(exclude_none=True).encode(),))


def form_body(pictures: Sequence[bytes], options: BaseModel) -> Body:
    """A form: each picture in a field `image`, each option that is not None in a field of its own name."""
    boundary = os.urandom(16).hex().encode()
    pieces: list[bytes] = []
    for name, value in _fields(options).items():
        pieces += [_FIELD_HEAD % (boundary, name.encode()), value.encode(), b"\r\n"]
    for picture in pictures:
        pieces += [_PICTURE_HEAD % boundary, picture, b"\r\n"]
    pieces.append(b"--%b--\r\n" % boundary)
    return Body(f"multipart/form-data; boundary={boundary.decode()}", pieces)


def _fields(options: BaseModel) -> Mapping[str, str]:
    values = options.model_dump(exclude_none=True)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def is_of(self, media_type: str) -> bool:
        """Whether the content has this media type, with any parameters (such as a charset)."""
        sent: str = self.headers.get("Content-Type", "")
        return sent.startswith(media_type)


async def read_reply(response: httpx.Response) -> Reply:
    # Not `aread`, which looks for a compression to undo: none is asked for.
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    return Reply(response.status_code, response.headers, b"".join([piece async for piece in stream]))


def error_of(reply: Reply, service: str) -> ImageTextError:
    """The error that a problem document stands for; Unavailable for a reply that no service of ours sends."""
    problem = _problem_in(reply)
    if problem is not None:
        for temporary in _TEMPORARY:
            if temporary.status == reply.status:
                return temporary(problem.detail, retry_after=_retry_after(reply))
        for permanent in _PERMANENT:
            if permanent.status == reply.status:
                return permanent(problem.detail)
    return Unavailable(f"The {service} service sent an unexpected reply.", retry_after=_retry_after(reply))


def _problem_in(reply: Reply) -> Problem | None:
    if not reply.is_of(MEDIA_TYPE):
        return None
    try:
        return Problem.model_validate_json(reply.content)
    except ValidationError:
        return None


def _retry_after(reply: Reply) -> int:
    value = reply.headers.get("Retry-After", "")
    return min(int(value), _MAX_RETRY_AFTER_S) if value.isascii() and value.isdigit() else 1
