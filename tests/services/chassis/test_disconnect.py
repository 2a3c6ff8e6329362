"""Work for a client, while the client is there."""

import asyncio
import logging
import socket

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from services.chassis.disconnect import while_connected
from tests.patience import PATIENCE
from tests.timeless import timeless


async def test_work_of_a_client_that_leaves_is_cancelled(app, shop, port_of, caplog):
    """When the client closes its connection, the work for it is cancelled, and the log says so."""
    caplog.set_level(logging.INFO)
    async with port_of(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /wait HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi")
            assert await asyncio.to_thread(shop.waiting.wait, PATIENCE)
        assert await asyncio.to_thread(shop.dropped.wait, PATIENCE)

    assert [record.fields["status"] for record in caplog.records if hasattr(record, "fields")] == [499]


async def test_result_is_returned_to_a_client_that_stays(client_of, app):
    """Work that ends while the client is there gives its result."""
    async with client_of(app) as client:
        assert (await client.post("/quick", content=b"hi")).text == "done"


async def test_error_of_the_work_is_the_answer(client_of, app):
    """Work that fails gives its own error."""
    async with client_of(app) as client:
        assert (await client.post("/failing")).status_code == 429


class Client:
    """A request whose client goes when it is told to."""

    def __init__(self) -> None:
        self.goes = asyncio.Event()

    async def receive(self) -> Message:
        await self.goes.wait()
        return {"type": "http.disconnect"}


@timeless
async def test_whoever_cancels_the_request_is_not_taken_for_the_client():
    """A deadline around the work ends as a deadline, and a cancelled task as one, also when the client goes then."""
    client = Client()
    request = Request({"type": "http"}, client.receive)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await while_connected(request, asyncio.sleep(30))
    task = asyncio.create_task(while_connected(request, asyncio.sleep(30)))
    await asyncio.sleep(1)
    client.goes.set()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@timeless
async def test_a_client_that_goes_too_late_stops_nothing():
    """Once the work is done, the client's going cancels nothing of what comes after."""
    client = Client()
    request = Request({"type": "http"}, client.receive)

    async def work() -> str:
        client.goes.set()
        return "done"

    assert await while_connected(request, work()) == "done"
    await asyncio.sleep(1)


@timeless
async def test_a_deadline_after_the_client_has_gone_is_still_one():
    """What runs after the work in the same task is not cancelled by what stopped the work."""
    client = Client()
    client.goes.set()
    with pytest.raises(ClientDisconnect):
        await while_connected(Request({"type": "http"}, client.receive), asyncio.sleep(30))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.sleep(30)
