"""Bodies that the gateway sends to the services: pieces that go out one after the other and are never joined.

What a service answered, read to its end.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
from pydantic import BaseModel

_PICTURE_HEAD = (
    b'--%b\r\nContent-Disposition: form-data; name="image"; filename="picture"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
_FIELD_HEAD = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'


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


NOTHING = Body("", ())


def json_body(content: BaseModel) -> Body:
    """The fields of `content` that are not None."""
    return Body("application/json", (content.model_dump_json(exclude_none=True).encode(),))


def form_body(pictures: Sequence[bytes], options: BaseModel) -> Body:
    """A form with the pictures in `image` and the options that are not None in fields of their own names."""
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
        """Whatever parameters, a charset for one, stand behind the media type."""
        sent: str = self.headers.get("Content-Type", "")
        return sent.startswith(media_type)


async def read_reply(response: httpx.Response) -> Reply:
    # Not `aread`, which looks for what may have to be unpacked: nothing packed is asked for.
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    return Reply(response.status_code, response.headers, b"".join([piece async for piece in stream]))
