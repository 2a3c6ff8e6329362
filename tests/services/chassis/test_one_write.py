"""Head and body of an answer leave together, and nothing waits for what may never come."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from services.chassis.serve import JoiningTransport, OneWrite
from tests.patience import PATIENCE

REQUEST = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


class Wire:
    """A transport that remembers each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.writes.append(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


@pytest.fixture
def wire() -> Wire:
    return Wire()


def joining(wire: Wire) -> Any:
    return JoiningTransport(wire, asyncio.get_running_loop())  # type: ignore[arg-type]


async def test_head_and_body_leave_together(wire: Wire) -> None:
    """One write for two, answer after answer."""
    transport = joining(wire)
    for _ in range(2):
        transport.write(b"head ")
        transport.write(b"body")
    await asyncio.sleep(0)

    assert wire.writes == [b"head body", b"head body"]
    assert transport.get_extra_info("peer") == "the peer"


async def test_a_head_alone_leaves_at_the_loops_next_turn(wire: Wire) -> None:
    """Whoever streams a body later does not keep its reader waiting for the head."""
    transport = joining(wire)
    transport.write(b"head")
    assert wire.writes == []
    await asyncio.sleep(0)

    assert wire.writes == [b"head"]


async def test_closing_writes_what_is_kept(wire: Wire) -> None:
    """And nothing is written after it, as when the caller has gone."""
    transport = joining(wire)
    transport.write(b"last")
    transport.close()
    transport.write(b"too late")
    await asyncio.sleep(0)

    assert (wire.writes, wire.closed) == ([b"last"], True)


async def answer(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """/whole in one body, /empty with none, and /slowly in two of which the second waits for the world."""
    sizes = {"/whole": b"5", "/empty": b"0", "/slowly": b"10"}
    headers = [(b"content-length", sizes[scope["path"]])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/slowly":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await scope["state"]["world"].wait()
    await send({"type": "http.response.body", "body": b"" if scope["path"] == "/empty" else b"whole"})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event]]:
    """A connection to a real server."""
    world = asyncio.Event()

    async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await answer(scope | {"state": {"world": world}}, receive, send)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who connects before the server is there is kept waiting
        server = uvicorn.Server(uvicorn.Config(app, http=OneWrite, lifespan="off", log_config=None))
        running = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        yield reader, writer, world
        writer.close()
        server.should_exit = True
        await running


async def test_a_kept_connection_answers_one_request_after_the_other() -> None:
    """Bodies whole, empty and in pieces, all on one connection; a first piece does not wait for the second."""
    async with asyncio.timeout(PATIENCE), connected() as (reader, writer, world):
        for path, body in ((b"/whole", b"whole"), (b"/empty", b""), (b"/whole", b"whole")):
            writer.write(REQUEST % path)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(len(body)) == body
        writer.write(REQUEST % b"/slowly")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == b"first"
        world.set()
        assert await reader.readexactly(5) == b"whole"
