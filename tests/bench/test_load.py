"""The callers, against a small server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.load import OK, Order, Request, read_order, send, write_order

SEARCH = Request("/search", "application/json", b'{"text": "day {n}"}')


@asynccontextmanager
async def serving(status: Callable[[bytes], int]) -> AsyncIterator[int]:
    """A server that answers each body with a status; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            found = status(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 %d Whatever\r\ncontent-length: 2\r\n\r\n{}" % found)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def test_every_request_is_another() -> None:
    """The place in the body becomes a number that goes on from the first one given."""
    bodies: list[bytes] = []

    def status(body: bytes) -> int:
        bodies.append(body)
        return OK

    async with serving(status) as port:
        found = await send(Order("127.0.0.1", port, [SEARCH], callers=2, seconds=0.1, first=7))

    assert len(set(bodies)) == len(bodies) == len(found.times) == found.sent
    assert b'{"text": "day 7"}' in bodies
    assert found.errors == 0


async def test_refusals_count_as_errors() -> None:
    """Only what is answered with 200 has a time."""
    async with serving(lambda body: 429) as port:
        found = await send(Order("127.0.0.1", port, [SEARCH], callers=1, seconds=0.05))

    assert found.times == []
    assert found.errors == found.sent > 0
    assert found.summary()["p50"] == 0


async def test_an_open_loop_keeps_to_its_rate() -> None:
    """Requests are sent when they are due, no faster."""
    async with serving(lambda body: OK) as port:
        found = await send(Order("127.0.0.1", port, [SEARCH], callers=4, seconds=0.19, rate=50))

    assert 1 <= found.sent <= 10


async def test_nobody_there_is_an_error() -> None:
    """And no exception."""
    async with serving(lambda body: OK) as port:
        pass

    found = await send(Order("127.0.0.1", port, [SEARCH], callers=1, seconds=0.02))

    assert found.errors == found.sent > 0


def test_an_order_travels_as_text() -> None:
    """Bodies of any bytes."""
    order = Order("127.0.0.1", 80, [Request("/", "image/jpeg", b"\xff\xd8")], callers=3, seconds=1.5, rate=9.0, first=4)

    assert read_order(write_order(order)) == order
