"""Work for a client, while the client is there."""

import asyncio
import logging
import socket


async def test_work_of_a_client_that_leaves_is_cancelled(app, shop, port_of, caplog):
    """When the client closes its connection, the work for it is cancelled, and the log says so."""
    caplog.set_level(logging.INFO)
    async with port_of(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /wait HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi")
            assert await asyncio.to_thread(shop.waiting.wait, 60)
        assert await asyncio.to_thread(shop.dropped.wait, 60)

    assert [record.fields["status"] for record in caplog.records if hasattr(record, "fields")] == [499]


async def test_result_is_returned_to_a_client_that_stays(client_of, app):
    """Work that ends while the client is there gives its result."""
    async with client_of(app) as client:
        assert (await client.post("/quick", content=b"hi")).text == "done"


async def test_error_of_the_work_is_the_answer(client_of, app):
    """Work that fails gives its own error."""
    async with client_of(app) as client:
        assert (await client.post("/failing")).status_code == 429
