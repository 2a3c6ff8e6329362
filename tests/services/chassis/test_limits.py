"""The limits on request bodies, and on requests that are worked on at once."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message

from imagetext.wire.errors import Busy
from services.chassis.limits import Admission, BodyLimitMiddleware
from tests.patience import PATIENCE, settle
from tests.timeless import timeless


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


async def test_body_of_exactly_the_limit_passes(client_of, app):
    """The limit itself is allowed, announced or chunked."""
    async with client_of(app) as client:
        announced = await client.post("/raw", content=b"x" * 1_000)
        chunked = await client.post("/raw", content=_chunks(10))

    assert (announced.text, chunked.text) == ("1000", "1000")


async def test_announced_size_is_refused_before_anything_runs(client_of, app):
    """A Content-Length over the limit is a 413 problem even where the handler never reads."""
    async with client_of(app) as client:
        reply = await client.post("/unread", content=b"x" * 1_001)

    assert reply.status_code == 413
    assert reply.json()["detail"] == "The request is larger than the 1000 bytes that are accepted."


async def test_chunked_body_is_counted_while_it_streams(client_of, app):
    """A body without an announced size is refused when it passes the limit."""
    async with client_of(app) as client:
        reply = await client.post("/raw", content=_chunks(11))

    assert (reply.status_code, reply.headers["Content-Type"]) == (413, "application/problem+json")


async def test_frameworks_own_reading_is_limited_too(client_of, app):
    """FastAPI turns errors while it reads a JSON body into 400; the caller gets the 413 all the same."""
    async with client_of(app) as client:
        reply = await client.post("/orders", content=_chunks(11), headers={"Content-Type": "application/json"})

    assert reply.status_code == 413


class Connection:
    """A client that sends chunks of 100 bytes, `count` of them, and keeps what it is sent."""

    def __init__(self, count: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        self.left = count
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        self.left -= 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": self.left > 0}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


class SlowConnection(Connection):
    """A client that sends a first chunk and then nothing more."""

    async def receive(self) -> Message:
        if self.left == 0:
            await asyncio.Event().wait()
        self.left = 0
        return {"type": "http.request", "body": b"x", "more_body": True}


async def _read_all(scope, receive, send) -> None:
    await PlainTextResponse(str(len(await Request(scope, receive).body())))(scope, receive, send)


async def test_refused_upload_is_read_to_its_end():
    """The rest of a refused body is taken in before the answer ends, so that the client can read the answer."""
    client = Connection(50, [(b"content-length", b"5000")])
    await BodyLimitMiddleware(_read_all, 1_000)(client.scope, client.receive, client.send)

    assert client.left == 0
    assert [message.get("more_body", False) for message in client.sent] == [False, True, False]
    assert client.sent[0]["status"] == 413


async def test_endless_upload_is_not_read_for_ever():
    """A client that sends without end is cut off after some multiple of the limit."""
    client = Connection(1_000_000, [])
    await BodyLimitMiddleware(_read_all, 1_000)(client.scope, client.receive, client.send)

    assert client.left > 990_000
    assert client.sent[0]["status"] == 413


async def test_response_that_had_begun_is_left_alone():
    """A handler that answers while it reads is not overwritten; its failure goes up."""

    async def echo(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive()).get("more_body"):
            pass

    client = Connection(50, [])
    failed = False
    try:
        await BodyLimitMiddleware(echo, 1_000)(client.scope, client.receive, client.send)
    except Exception:
        failed = True

    assert failed
    assert [message["type"] for message in client.sent] == ["http.response.start"]


@timeless
async def test_body_that_does_not_arrive_is_given_up():
    """A client that stops in the middle of its body gets a 504, and its slot is free for the next one.

    Until then the slot is taken, and a second client is refused."""
    admission = Admission(1)

    async def read_inside(scope, receive, send) -> None:
        with admission.enter():
            await _read_all(scope, receive, send)

    app = BodyLimitMiddleware(read_inside, 1_000, max_seconds=10)
    slow, second, third = SlowConnection(1, []), Connection(2, []), Connection(2, [])

    given_up = asyncio.create_task(app(slow.scope, slow.receive, slow.send))
    await settle()
    assert admission.inside == 1
    with pytest.raises(Busy):
        await app(second.scope, second.receive, second.send)
    await given_up
    assert (slow.sent[0]["status"], admission.inside) == (504, 0)
    await app(third.scope, third.receive, third.send)
    assert (third.sent[0]["status"], admission.inside) == (200, 0)


@timeless
async def test_time_limit_is_for_the_body_only():
    """A handler may wait for its client's going away as long as it works, once the body is in."""

    async def slow(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        try:
            await asyncio.wait_for(receive(), 20)
        except TimeoutError:
            await PlainTextResponse("still here")(scope, receive, send)

    class Patient(Connection):
        async def receive(self) -> Message:
            if self.left == 0:
                await asyncio.Event().wait()
            return await super().receive()

    client = Patient(2, [])
    await BodyLimitMiddleware(slow, 1_000, max_seconds=10)(client.scope, client.receive, client.send)

    assert client.sent[0]["status"] == 200


def _send_all_then_read(port: int, head: bytes, body: bytes) -> bytes:
    """A client that reads nothing before it has sent everything."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /raw HTTP/1.1\r\nHost: shop\r\n" + head + b"\r\n\r\n" + body)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


async def test_refused_client_can_read_its_answer(app, port_of):
    """Over a real socket, a client that sends its whole body first still reads the 413, and is then let go."""
    async with port_of(app) as port:
        announced = await asyncio.to_thread(_send_all_then_read, port, b"Content-Length: 7000", b"x" * 7_000)
        chunk = b"3e8\r\n" + b"x" * 1_000 + b"\r\n"
        chunked = await asyncio.to_thread(
            _send_all_then_read, port, b"Transfer-Encoding: chunked", chunk * 7 + b"0\r\n\r\n"
        )

    for answer in (announced, chunked):
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer
        assert b"connection: close" in answer.lower()
        assert answer.endswith(b"}")


def test_one_too_many_is_busy_until_another_leaves():
    """The limit counts who is inside, whether they leave well or by an error."""
    admission = Admission(2)
    with admission.enter():
        with pytest.raises(ZeroDivisionError), admission.enter():
            raise ZeroDivisionError
        with admission.enter(), pytest.raises(Busy), admission.enter():
            pass

    assert admission.inside == 0
