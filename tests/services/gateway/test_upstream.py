"""What the gateway makes of services that fail, and of several replicas."""

import asyncio
import time
from collections import Counter

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from imagetext.wire.errors import Busy, DeadlineExceeded, ImageTextError, Unavailable
from services.gateway.app import create_app
from services.gateway.settings import Settings
from tests.patience import PATIENCE
from tests.timeless import timeless


def httpx_client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)


def patient(**settings: object) -> Settings:
    """Where real sockets are waited for."""
    patience = {"connect_timeout_s": PATIENCE, "read_timeout_s": PATIENCE, "deadline_s": PATIENCE}
    return Settings.model_validate(patience | settings)


async def caption(client, picture: bytes = b"dog"):
    return await client.post("/v1/captions", files={"image": ("a.jpg", picture)})


@pytest.fixture
def two_captioners(door):
    """The name `caption` has two addresses; the second replica is one more process of the same service."""
    door.network.names["caption"] = ["10.0.0.1", "10.0.0.3"]
    door.network.plug_in("10.0.0.3:8001", door.caption.app)
    return door


async def test_both_replicas_work(two_captioners, client):
    """Requests that follow one another reach both replicas."""
    for i in range(40):
        assert (await caption(client, f"p{i}".encode())).status_code == 200

    asked = two_captioners.network.asked
    assert min(asked["10.0.0.1:8001"], asked["10.0.0.3:8001"]) >= 5


@timeless
async def test_the_least_busy_replica_is_asked(two_captioners, client, until):
    """While one replica has a request in work, all that follow go to the other; after that both are asked again."""
    slow, quick = two_captioners.caption, type(two_captioners.caption)()
    two_captioners.network.plug_in("10.0.0.3:8001", quick.app)
    slow.go_on.clear()
    held: list[asyncio.Task[httpx.Response]] = []
    while not slow.calls["captions"]:  # which of two idle ones is asked is left to chance
        held.append(asyncio.create_task(caption(client, f"held{len(held)}".encode())))
        await asyncio.sleep(0.1)
    asked = slow.calls["captions"], quick.calls["captions"]
    for i in range(20):
        assert (await caption(client, f"p{i}".encode())).status_code == 200

    assert (slow.calls["captions"], quick.calls["captions"]) == (asked[0], asked[1] + 20)
    slow.go_on.set()
    assert {reply.status_code for reply in await asyncio.gather(*held)} == {200}

    async def is_asked_again() -> bool:
        await caption(client, str(sum(two_captioners.network.asked.values())).encode())
        return slow.calls["captions"] > asked[0]

    await until(is_asked_again)


async def test_a_dead_replica_is_passed_over(two_captioners, client):
    """With one of two replicas dead every request is answered, and few of them try the dead one."""
    del two_captioners.network.machines["10.0.0.1:8001"]
    began = time.monotonic()
    replies = [await caption(client, f"p{i}".encode()) for i in range(40)]
    took = time.monotonic() - began

    assert {reply.status_code for reply in replies} == {200}
    assert two_captioners.network.asked["10.0.0.1:8001"] <= 2 + took / 5  # one in five seconds


async def test_a_replica_that_breaks_off(two_captioners, client):
    """A request that a replica breaks off is answered by the other."""
    two_captioners.network.breaking["10.0.0.1:8001"] = 1_000
    replies = [await caption(client, f"p{i}".encode()) for i in range(20)]

    assert {reply.status_code for reply in replies} == {200}


async def test_a_replica_that_is_not_ready(two_captioners, client):
    """A replica that answers 503 is passed over for the other."""
    starting = type(two_captioners.caption)()
    starting.failure = Unavailable("The model is being loaded.")
    two_captioners.network.plug_in("10.0.0.1:8001", starting.app)
    replies = [await caption(client, f"p{i}".encode()) for i in range(20)]

    assert {reply.status_code for reply in replies} == {200}


async def test_a_new_replica_takes_part(door, client, until):
    """A replica that is started later gets its share without a restart of the gateway."""
    door.network.plug_in("10.0.0.3:8001", door.caption.app)
    door.network.names["caption"] = ["10.0.0.1", "10.0.0.3"]

    async def is_asked() -> bool:
        await caption(client, str(sum(door.network.asked.values())).encode())
        return door.network.asked["10.0.0.3:8001"] > 0

    await until(is_asked)


async def test_one_broken_connection(door, client):
    """A connection that breaks once costs a second try and no error."""
    door.network.breaking["10.0.0.1:8001"] = 1

    assert (await caption(client)).status_code == 200
    assert "gateway_upstream_retries_total 1.0" in (await client.get("/metrics")).text


async def test_a_service_that_breaks_off_always(door, client):
    """Two tries and no more; then the service is not available."""
    door.network.asked.clear()
    door.network.breaking["10.0.0.1:8001"] = 1_000
    response = await caption(client)

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert door.network.asked["10.0.0.1:8001"] == 2


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Busy("The queue is full.", retry_after=7), 429, "7"),
        (Unavailable("The model is being loaded.", retry_after=9), 503, "9"),
        (DeadlineExceeded("No caption was ready."), 504, None),
        (ImageTextError("It went wrong."), 500, None),
    ],
)
async def test_problems_pass_through(door, client, error, status, retry_after):
    """A service's problem keeps its status, sentence and Retry-After and gets our request id; it is not cached."""
    door.caption.failure = error
    response = await caption(client)
    door.caption.failure = None

    assert response.status_code == response.json()["status"] == status
    assert response.headers.get("Retry-After") == retry_after
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert response.json()["detail"] == error.detail
    assert (await caption(client)).status_code == 200


async def test_an_unexpected_error_shows_nothing(door, client):
    """A service's own bug becomes a 500 that says nothing of it."""
    door.caption.failure = RuntimeError("the secret is hunter2")
    response = await caption(client)

    assert response.status_code == 500
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("Internal Server Error", 500),
        HTMLResponse("<h1>502</h1>", 502),
        HTMLResponse("<h1>404</h1>", 404),
        JSONResponse({"detail": "x"}, 422),
        Response(b"{", 400, media_type="application/problem+json"),
        Response(b"\xff", 503, {"Retry-After": "soon"}, "application/problem+json"),
        Response(status_code=302, headers={"Location": "http://example.com/"}),
        Response(b"", 200),
        JSONResponse({"hello": 1}),
        JSONResponse({"model": {"name": "g", "kind": "captioner", "fingerprint": "c", "parameters": 1}, "results": []}),
        Response(b"\x00" * 1_000_000, 200),
    ],
)  # fmt: skip
async def test_answers_of_somebody_else(door, client, answer):
    """An answer that no service of ours gives is a 503 problem."""

    async def somebody_else(scope, receive, send) -> None:
        await Request(scope, receive).body()
        await answer(scope, receive, send)

    door.network.plug_in("10.0.0.1:8001", somebody_else)
    response = await caption(client)

    assert (response.status_code, response.json()["status"]) == (503, 503)
    assert int(response.headers["Retry-After"]) > 0


async def test_unknown_name(door, client_of):
    """A service whose name is not known is not available."""
    door.network.names.clear()
    async with client_of(door.app) as client:
        assert (await caption(client)).status_code == 503
        assert (await client.post("/v1/search", json={"text": "dog"})).status_code == 503


async def _half_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes a request and dies in the middle of the answer."""
    await reader.read(1_000)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()


async def test_replica_dies_while_it_answers(door, serve, until):
    """Over real sockets: requests to a replica that dies in the middle are answered by the other one."""
    dying = await asyncio.start_server(_half_answer, "127.0.0.1", 0)
    dying_port = dying.sockets[0].getsockname()[1]
    _, port = await serve(door.caption.app)
    settings = patient(caption_url=f"http://127.0.0.1:{dying_port},http://127.0.0.1:{port}")
    _, gateway_port = await serve(create_app(settings))
    replies = Counter[int]()
    async with httpx_client(gateway_port) as client:
        for i in range(10):
            replies[(await caption(client, f"p{i}".encode())).status_code] += 1
        dying.close()
        for i in range(10, 20):
            replies[(await caption(client, f"p{i}".encode())).status_code] += 1

    assert replies == {200: 20}
    assert door.caption.calls["captions"] == 20


async def test_silent_service(silent_server, serve):
    """Over real sockets: a service that takes requests and never answers is a 504 after the deadline."""
    settings = Settings(retrieval_url=f"http://127.0.0.1:{silent_server}", deadline_s=0.5)
    _, port = await serve(create_app(settings))
    async with httpx_client(port) as client:
        search = await client.post("/v1/search", json={"text": "dog"})
        image = await client.get("/v1/images/0123456789abcdef")

    assert (search.status_code, image.status_code) == (504, 504)


async def test_read_timeout(silent_server, serve):
    """Over real sockets: silence that is longer than the read timeout is a 504 before the deadline."""
    settings = patient(retrieval_url=f"http://127.0.0.1:{silent_server}", read_timeout_s=0.3)
    _, port = await serve(create_app(settings))
    async with httpx_client(port) as client:
        assert (await client.post("/v1/search", json={"text": "dog"})).status_code == 504


async def test_a_caller_that_leaves(door, serve, until):
    """Over real sockets: when the caller goes away, the work upstream is stopped."""
    door.retrieval.go_on.clear()
    _, retrieval_port = await serve(door.retrieval.app)
    _, port = await serve(create_app(patient(retrieval_url=f"http://127.0.0.1:{retrieval_port}")))
    async with httpx_client(port) as client:
        asking = asyncio.create_task(client.post("/v1/search", json={"text": "dog"}))
        await until(lambda: door.retrieval.calls["search"] == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: door.retrieval.gone == 1)
