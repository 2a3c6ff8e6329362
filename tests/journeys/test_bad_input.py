"""What should not be sent, sent to the whole system: always a problem with the right status, soon."""

import io
import struct
import zlib
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.journeys.conftest import System


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "JPEG")
    return out.getvalue()


def huge_png() -> bytes:
    """A valid header of 50,000 x 50,000 pixels, and nothing behind it worth decoding."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


PICTURES = {
    "text": (b"this is no picture", 415),
    "empty": (b"", 415),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    "truncated": (jpeg()[:300], 400),
    "huge header": (huge_png(), 413),
}


def assert_problem(reply: httpx.Response, status: int) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/v1/captions", "/v1/search/image"])
@pytest.mark.parametrize("kind", PICTURES)
def test_bad_pictures(system: System, path: str, kind: str) -> None:
    """Each kind of bad picture has its status, wherever it is sent."""
    data, status = PICTURES[kind]

    with system.client() as client:
        assert_problem(client.post(path, files={"image": data}), status)


SEARCHES: list[dict[str, object]] = [
    {},
    {"text": ""},
    {"text": "   "},
    {"text": "x" * 100_000},
    {"text": "dog", "k": 0},
    {"text": "dog", "k": -1},
    {"text": "dog", "k": 10**9},
    {"text": "dog", "k": "many"},
    {"text": "dog", "offset": -1},
    {"text": "-dog"},
    {"text": "dog", "parts": [{}]},
    {"text": "dog", "filter": {"colour": "red"}},
    {"like": "0" * 16, "hybrid": True},
    {"text": 5},
    {"txt": "dog"},
]


@pytest.mark.parametrize("body", SEARCHES, ids=lambda body: str(body)[:40])
def test_bad_searches(system: System, body: dict[str, object]) -> None:
    """A search that makes no sense is a 422 that names the field."""
    with system.client() as client:
        assert_problem(client.post("/v1/search", json=body), 422)


OPTIONS = [
    {"num_captions": "0"},
    {"num_captions": "6"},
    {"num_beams": "100"},
    {"max_new_tokens": "-3"},
    {"attention": "perhaps"},
    {"temperature": "1"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bad_caption_options(system: System, options: dict[str, str]) -> None:
    """An option out of range, or one that does not exist, is a 422."""
    with system.client() as client:
        assert_problem(client.post("/v1/captions", files={"image": jpeg()}, data=options), 422)


def test_unknown_model_address_and_method(system: System) -> None:
    """What does not exist is 404, the wrong method 405."""
    with system.client() as client:
        assert_problem(client.post("/v1/captions", files={"image": jpeg()}, data={"model": "none"}), 404)
        assert_problem(client.post("/v1/search", json={"like": "f" * 16}), 404)
        assert_problem(client.get("/v1/nothing"), 404)
        assert_problem(client.get("/v1/search"), 405)


def test_body_of_100_megabytes_is_refused(system: System) -> None:
    """The limit holds while a body of unknown length streams, and the caller gets to read the answer."""

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        for _ in range(100):
            yield b"\0" * 1_000_000

    with system.client() as client:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        assert_problem(client.post("/v1/captions", content=body(), headers=headers), 413)


def test_addresses_inside_are_not_fetched(system: System) -> None:
    """A picture by address is fetched from public addresses only."""
    with system.client() as client:
        for url in (
            f"{system.retrieval}/v1/index",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "ftp://example.org/x",
        ):
            assert_problem(client.post("/v1/captions", json={"url": url}), 422)
