"""Connections to the services: kept, bounded, and with errors that say how far a request came."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvloop

from imagetext.wire.search import SearchRequest
from services.gateway.messages import NO_BODY, Body, json_body
from services.gateway.transport import ServiceTransport
from tests.patience import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers each request on a connection with the next of `answers`, and the last of them from then on."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.closed = 0
        self.sent = 0
        self.requests: list[bytes] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed += 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        self.requests.append(head + body)
        await self.go_on.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        self.sent += 1
        return True


class Caller:
    """Sends requests to a server over a transport."""

    def __init__(self, transport: ServiceTransport, port: int) -> None:
        self.transport = transport
        self.port = port

    def request(
        self,
        body: Body = NO_BODY,
        *,
        method: str = "",
        read_s: float = PATIENCE,
        pool_s: float = PATIENCE,
        port: int = 0,
        **headers: str,
    ) -> httpx.Request:
        lengths = {"Content-Length": str(body.size)} if body.pieces else {}
        return httpx.Request(
            method or ("POST" if body.pieces else "GET"),
            f"http://127.0.0.1:{port or self.port}/path?a=b",
            headers={"Host": "service", **lengths, **headers},
            stream=body,
            extensions={"timeout": {"connect": PATIENCE, "read": read_s, "pool": pool_s}, "sni_hostname": "service"},
        )

    async def ask(self, body: Body = NO_BODY, **options: object) -> tuple[int, bytes]:
        response = await self.transport.handle_async_request(self.request(body, **options))
        try:
            return response.status_code, b"".join([piece async for piece in response.aiter_raw()])
        finally:
            await response.aclose()


@pytest.fixture
def talking() -> Callable[..., object]:
    """talking(server) -> a caller of it."""

    @asynccontextmanager
    async def talk(server: Server, *, max_connections: int = 10, idle_s: float = 60) -> AsyncIterator[Caller]:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1_000_000)
        transport = ServiceTransport(max_connections=max_connections, idle_s=idle_s)
        try:
            async with asyncio.timeout(PATIENCE):
                yield Caller(transport, listener.sockets[0].getsockname()[1])
        finally:
            server.go_on.set()
            await transport.aclose()
            listener.close()

    return talk


async def test_requests_that_follow_one_another_share_a_connection(talking):
    """A connection is kept for the next request, and what is sent is what was asked for."""
    server = Server(OK)
    async with talking(server) as caller:
        assert [await caller.ask(**{"X-Request-ID": "r7"}) for _ in range(20)] == [(200, b"hi")] * 20

    assert server.connections == 1
    assert server.requests[0].splitlines() == [b"GET /path?a=b HTTP/1.1", b"host: service", b"x-request-id: r7", b""]


async def test_bodies_arrive_whole(talking):
    """A body of several pieces, one of them large, arrives as their sum."""
    server, picture = Server(OK), bytes(range(256)) * 40_000
    async with talking(server) as caller:
        assert await caller.ask(Body("x", [b"head", picture, b"", b"tail"])) == (200, b"hi")
        assert await caller.ask(json_body(SearchRequest(text="ä"))) == (200, b"hi")

    assert server.requests[0].endswith(b"\r\n\r\nhead" + picture + b"tail")
    assert server.requests[1].endswith(SearchRequest(text="ä").model_dump_json(exclude_none=True).encode())
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hi!"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", 304, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, b"hi"),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", 503, b""),
    ],
)
async def test_answers_of_every_kind(talking, answer, status, body):
    """Answers are read to their end and not beyond, whichever way it is marked; the connection stays."""
    server = Server(answer)
    async with talking(server) as caller:
        assert [await caller.ask() for _ in range(3)] == [(status, body)] * 3

    assert server.connections == 1


async def test_a_body_that_ends_with_its_connection(talking):
    """A body without a length is over when the service closes."""
    server = Server(b"HTTP/1.1 200 OK\r\n\r\nhi", None)
    async with talking(server) as caller:
        response = await caller.transport.handle_async_request(caller.request())
        pieces = response.aiter_raw()
        assert await anext(pieces) == b"hi"
        reading = asyncio.create_task(anext(pieces, None))
        await asyncio.sleep(0.05)
        assert not reading.done()


async def test_a_closed_body_without_a_length_is_whole(talking):
    """As above, with a service that does close."""

    class Closing(Server):
        async def _answer(self, reader, writer) -> bool:
            await super()._answer(reader, writer)
            return False

    async with talking(Closing(b"HTTP/1.1 200 OK\r\n\r\nhi")) as caller:
        assert await caller.ask() == (200, b"hi")
        assert await caller.ask() == (200, b"hi")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_nothing_is_sent_twice(talking, method):
    """A request that breaks off on a kept connection fails, whatever its method; repeating is for others to decide."""
    server = Server(OK, None, OK)
    body = Body("x", [b"body"]) if method == "POST" else NO_BODY
    async with talking(server) as caller:
        assert await caller.ask(body, method=method) == (200, b"hi")
        with pytest.raises(httpx.RemoteProtocolError):
            await caller.ask(body, method=method)

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore",
    ],
)
async def test_connections_that_are_not_kept(talking, answer):
    """After an answer that closes, or has more behind it than was asked for, the next request is on a new one."""
    server = Server(answer)
    async with talking(server) as caller:
        assert [await caller.ask() for _ in range(3)] == [(200, b"hi")] * 3

    assert server.connections == 3


async def test_idle_connections_are_given_up(talking, until):
    """A connection that was idle for too long is not used again, and is closed by then."""
    server = Server(OK)
    async with talking(server, idle_s=0.05) as caller:
        await asyncio.gather(*(caller.ask() for _ in range(5)))
        opened = server.connections
        await asyncio.sleep(0.1)
        await caller.ask()
        await until(lambda: server.closed == opened)
        assert server.connections == opened + 1


async def test_a_connection_that_the_service_closed_is_not_used(talking, until):
    """When the service has closed an idle connection, the next request opens another and does not fail."""

    class Closing(Server):
        async def _answer(self, reader, writer) -> bool:
            await super()._answer(reader, writer)
            return False

    server = Closing(OK)
    async with talking(server) as caller:
        for number in range(1, 4):
            assert await caller.ask() == (200, b"hi")
            await until(lambda number=number: server.closed == number)
            await asyncio.sleep(0.05)


async def test_requests_over_the_bound_wait(talking, until):
    """No more connections than may be are open; whoever waits gets one when an answer has ended, read or not."""
    server = Server(OK)
    server.go_on.clear()
    async with talking(server, max_connections=2) as caller:
        asked = [asyncio.create_task(caller.ask()) for _ in range(6)]
        await until(lambda: len(server.requests) == 2)
        await asyncio.sleep(0.05)
        assert server.connections == 2
        server.go_on.set()
        assert await asyncio.gather(*asked) == [(200, b"hi")] * 6
        unread = [await caller.transport.handle_async_request(caller.request()) for _ in range(2)]
        last = asyncio.create_task(caller.ask())
        await asyncio.sleep(0.05)
        assert not last.done()
        for response in unread:
            await response.aclose()
        assert await last == (200, b"hi")


async def test_nobody_waits_for_ever(talking):
    """Whoever waits longer than was said is told that all connections are in use, and takes no place from others."""
    async with talking(Server(OK), max_connections=1) as caller:
        unread = await caller.transport.handle_async_request(caller.request())
        with pytest.raises(httpx.PoolTimeout):
            await caller.ask(pool_s=0.05)
        await unread.aclose()

        assert await caller.ask() == (200, b"hi")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", httpx.ReadTimeout),
        (None, httpx.RemoteProtocolError),
        (b"\x00" * 100, httpx.RemoteProtocolError),
        (OK + b"rubbish", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_what_is_no_answer(talking, answer, error):
    """Silence, a broken connection and what is not HTTP each have their error; the place is free again."""
    server = Server(answer, OK)
    async with talking(server, max_connections=1) as caller:
        with pytest.raises(error):
            await caller.ask(read_s=0.2 if error is httpx.ReadTimeout else PATIENCE)
        assert await caller.ask() == (200, b"hi")

    assert server.connections == 2


async def test_an_answer_that_breaks_off(talking):
    """Half an answer is an error, not a short answer."""

    class Breaking(Server):
        async def _answer(self, reader, writer) -> bool:
            await super()._answer(reader, writer)
            return False

    for head in (b"Content-Length: 9", b"Transfer-Encoding: chunked"):
        async with talking(Breaking(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n2\r\nhi")) as caller:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await caller.ask()


async def test_nobody_there(talking, unused_port):
    """A port where nobody listens is a ConnectError, which says that nothing was sent."""
    async with talking(Server(OK), max_connections=1) as caller:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await caller.ask(port=unused_port)
        assert await caller.ask() == (200, b"hi")


async def test_a_caller_that_leaves(talking, until):
    """A request that is cancelled closes its connection and frees its place."""
    server = Server(OK)
    server.go_on.clear()
    async with talking(server, max_connections=1) as caller:
        asking = asyncio.create_task(caller.ask())
        await until(lambda: len(server.requests) == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server.go_on.set()
        assert await caller.ask() == (200, b"hi")
        await until(lambda: server.closed == 1)


async def test_an_unread_answer_closes_its_connection(talking, until):
    """An answer that is let go before its end leaves no connection with half an answer in it."""
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", OK)
    async with talking(server) as caller:
        response = await caller.transport.handle_async_request(caller.request())
        await response.aclose()
        assert await caller.ask() == (200, b"hi")
        await until(lambda: server.closed == 1)


async def test_a_slow_reader_slows_the_service_down(talking):
    """What is not read does not pile up in memory: the service has to wait."""
    size = 40_000_000
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size, OK)
    async with talking(server) as caller:
        response = await caller.transport.handle_async_request(caller.request())
        await asyncio.sleep(0.2)
        assert server.sent == 0
        lengths = [len(piece) async for piece in response.aiter_raw()]
        await response.aclose()

        assert sum(lengths) == size
        assert await caller.ask() == (200, b"hi")
    assert server.connections == 1


async def test_headers_cannot_be_smuggled(talking):
    """A header with a line break in it is sent to nobody."""
    server = Server(OK)
    async with talking(server) as caller:
        for value in ("a\r\nX: b", "a\nX: b", "a\rX: b"):
            with pytest.raises(ValueError):
                await caller.ask(**{"If-None-Match": value})

    assert server.requests == []


async def test_tls_is_checked(talking):
    """A service by https that does not speak TLS is not reached."""

    class Hasty(Server):
        async def _answer(self, reader, writer) -> bool:
            writer.write(OK)
            await writer.drain()
            return False

    async with talking(Hasty(OK)) as caller:
        request = caller.request()
        request.url = request.url.copy_with(scheme="https")
        with pytest.raises(httpx.ConnectError):
            await caller.transport.handle_async_request(request)


def test_on_the_event_loop_of_the_services(talking):
    """What matters most holds on uvloop, too: bodies whole, readers not flooded, connections kept or closed."""

    async def run() -> None:
        await test_requests_that_follow_one_another_share_a_connection(talking)
        await test_bodies_arrive_whole(talking)
        await test_a_closed_body_without_a_length_is_whole(talking)
        await test_a_slow_reader_slows_the_service_down(talking)
        await test_an_answer_that_breaks_off(talking)
        await test_what_is_no_answer(talking, None, httpx.RemoteProtocolError)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
