"""Pictures passed on from the retrieval service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message

from services.gateway import lifespan
from services.gateway.app import create_app
from services.gateway.images import RelayedImage
from services.gateway.settings import Settings
from tests.patience import PATIENCE


async def test_picture(client, door):
    """A picture arrives as it is, with the headers that caches need and no others of the service's."""
    response = await client.get(f"/v1/images/{door.retrieval.picture_id}")

    assert response.status_code == 200
    assert response.content == door.retrieval.picture
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["Content-Length"] == str(len(door.retrieval.picture))
    assert response.headers["ETag"] == '"abc"'
    assert response.headers["Cache-Control"] == "max-age=60"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


async def test_conditional_request(client, door):
    """A browser that has the picture already is answered 304 without a body."""
    path = f"/v1/images/{door.retrieval.picture_id}"
    response = await client.get(path, headers={"If-None-Match": '"abc"'})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == '"abc"'
    assert (await client.get(path, headers={"If-None-Match": '"old"'})).status_code == 200


async def test_only_conditions_travel(client, door):
    """Of the caller's headers nothing but conditions reaches the service."""
    await client.get(
        f"/v1/images/{door.retrieval.picture_id}", headers={"Cookie": "a=b", "Authorization": "x", "If-None-Match": "y"}
    )

    [headers] = door.retrieval.headers
    assert headers["If-None-Match"] == "y"
    assert not {"cookie", "authorization"} & headers.keys()


async def test_thumbnail(client, door):
    """The size of a thumbnail is passed on; an impossible one is a 422."""
    path = f"/v1/images/{door.retrieval.picture_id}/thumbnail"

    assert len((await client.get(path, params={"size": 100})).content) == 100
    for size in ("0", "-1", "1000000000", "big", "1&x=2"):
        assert (await client.get(path, params={"size": size})).status_code == 422


async def test_unknown_picture(client):
    """An id that no picture has is the service's 404."""
    response = await client.get("/v1/images/ffffffffffffffff")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "image_id",
    ["..", "..%2f..%2fetc%2fpasswd", "%2e%2e", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", "%00", "a?b",
     "0123456789abcdef%0a", "0123456789abcdef%2f..", "０123456789abcdef", "x" * 5_000],
)  # fmt: skip
async def test_what_is_no_id_goes_no_further(client, door, image_id):
    """What cannot be an id is a 404 here, for the picture and its thumbnail, and never becomes part of a path."""
    for path in (f"/v1/images/{image_id}", f"/v1/images/{image_id}/thumbnail"):
        assert (await client.get(path)).status_code == 404
    assert door.retrieval.calls["image"] == 0


class SlowGallery:
    """A retrieval service whose picture comes in two halves, the second when it is told to."""

    def __init__(self) -> None:
        self.second_half = asyncio.Event()
        self.left_early = False
        self.app = FastAPI()
        self.app.get("/v1/images/{image_id}")(self.image)

    async def index(self) -> dict[str, str]:
        return {}

    async def image(self) -> StreamingResponse:
        return StreamingResponse(self._halves(), headers={"Content-Length": "10"}, media_type="image/jpeg")

    async def _halves(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await self.second_half.wait()
            yield b"other"
        except (asyncio.CancelledError, GeneratorExit):
            self.left_early = True
            raise


@asynccontextmanager
async def _opened(serve, gallery: SlowGallery) -> AsyncIterator[httpx.Response]:
    """The answer to a request for a picture of `gallery` through a gateway on a real socket, its head received."""
    _, port = await serve(gallery.app)
    settings = Settings(retrieval_url=f"http://127.0.0.1:{port}", connect_timeout_s=PATIENCE, deadline_s=PATIENCE)
    _, door = await serve(create_app(settings))
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{door}", timeout=PATIENCE) as client,
        client.stream("GET", "/v1/images/0123456789abcdef") as response,
    ):
        yield response


async def test_pictures_are_streamed(serve):
    """The first bytes of a picture arrive while the service still sends the rest."""
    gallery = SlowGallery()
    async with asyncio.timeout(PATIENCE), _opened(serve, gallery) as response:
        chunks = response.aiter_raw()
        first = await anext(chunks)
        gallery.second_half.set()
        rest = b"".join([chunk async for chunk in chunks])

    assert (first, rest) == (b"first", b"other")


async def test_a_slow_reader_keeps_no_search_waiting(serve, monkeypatch):
    """Pictures have connections of their own: with all of them in use the service can still be asked."""
    monkeypatch.setattr(lifespan, "_MAX_STREAMS", 1)
    monkeypatch.setattr(lifespan, "_POOL_TIMEOUT_S", 0.2)
    gallery = SlowGallery()
    gallery.app.get("/v1/index")(gallery.index)
    async with asyncio.timeout(PATIENCE), _opened(serve, gallery) as response:
        door = str(response.url.copy_with(path="/"))
        async with httpx.AsyncClient(base_url=door, timeout=PATIENCE) as another:
            picture = await another.get("/v1/images/0123456789abcdef")
            index = await another.get("/v1/index")
        gallery.second_half.set()

    assert picture.status_code == 429
    assert "cannot be read" in index.json()["detail"]  # it was asked, and gave nonsense


async def test_a_browser_that_leaves_ends_the_stream(serve, until):
    """When the browser goes away in the middle of a picture, so does the gateway from the service."""
    gallery = SlowGallery()
    async with asyncio.timeout(PATIENCE):
        async with _opened(serve, gallery) as response:
            await anext(response.aiter_raw())
        await until(lambda: gallery.left_early)


class Body(httpx.AsyncByteStream):
    """A picture's bytes, which know whether they were let go."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"dog"

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("when", ["http.response.start", "http.response.body"])
async def test_the_service_is_let_go_whenever_the_browser_leaves(when):
    """A browser that leaves before the first byte, or with it, leaves no open answer of the service behind."""
    body = Body()
    closed = AsyncExitStack()
    closed.push_async_callback(body.aclose)
    image = RelayedImage(httpx.Response(200, stream=body), closed)

    async def send(message: Message) -> None:
        if message["type"] == when:
            raise OSError("the browser is gone")

    with pytest.raises(ClientDisconnect):
        await image({"type": "http", "asgi": {"spec_version": "2.4"}}, _nothing_more, send)
    assert body.closed


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
