"""What the gateway sends is what the services read."""

import asyncio

from starlette.requests import Request
from starlette.types import Message

from imagetext.wire.captions import CaptionOptions
from imagetext.wire.search import SearchRequest
from services.chassis.bodies import read_upload
from services.gateway.messages import Body, form_body, json_body


def request_of(body: Body) -> Request:
    """As the service gets it, a piece at a time."""
    pieces = list(body.pieces)

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"content-type", body.media_type.encode()), (b"content-length", str(body.size).encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def test_forms():
    """Pictures arrive as they are, in order, and options as the values that they were."""
    options = CaptionOptions(model='odd "name"\r\n--', num_captions=2, attention=True)
    pictures = [b"first", b"", b"\r\n--x\r\n" * 9]
    upload = await read_upload(request_of(form_body(pictures, options)), max_pictures=3)

    assert upload.pictures == pictures
    assert CaptionOptions.model_validate(upload.options) == options


def test_pictures_are_not_copied():
    """The bytes of a picture are the piece that is sent."""
    picture = b"x" * 1_000_000

    assert any(piece is picture for piece in form_body([picture], CaptionOptions()).pieces)


async def test_json():
    """Fields without a value are left out, and letters of all alphabets arrive."""
    body = json_body(SearchRequest(text="犬"))

    assert await request_of(body).json() == SearchRequest(text="犬").model_dump(exclude_none=True)
    assert b"".join([piece async for piece in body]) == b"".join(body.pieces)


def test_the_size_is_that_of_all_pieces():
    """What is announced is what is sent."""
    body = form_body([b"a" * 100, b"b"], CaptionOptions())

    assert body.size == len(asyncio.run(_sent(body)))


async def _sent(body: Body) -> bytes:
    return b"".join([piece async for piece in body])
