"""What a service answered, read to its end."""

from dataclasses import dataclass

import httpx


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
