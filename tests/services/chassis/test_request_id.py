"""The request id: taken over, made, returned."""

import pytest

from services.chassis.request_id import current_request_id


async def test_good_id_is_taken_over_and_returned(client_of, app):
    """A caller's well-formed id is the one that the handler sees and the reply carries."""
    async with client_of(app) as client:
        reply = await client.get("/id", headers={"X-Request-ID": "trip.42_a-b"})

    assert (reply.text, reply.headers.get_list("X-Request-ID")) == ("trip.42_a-b", ["trip.42_a-b"])


@pytest.mark.parametrize("sent", ["", "a" * 65, "two words", "semi;colon", "ü".encode()])
async def test_bad_id_is_replaced(client_of, app, sent):
    """An id that is empty, too long or of other characters is replaced by a new one."""
    async with client_of(app) as client:
        reply = await client.get("/id", headers={"X-Request-ID": sent})

    assert len(reply.text) == 32
    assert reply.headers["X-Request-ID"] == reply.text


async def test_each_request_has_its_own(client_of, app):
    """Without an id from the caller every request gets a new one."""
    async with client_of(app) as client:
        first, second = await client.get("/id"), await client.get("/id")

    assert first.text != second.text


async def test_failed_requests_carry_it_too(client_of, app):
    """Even a 500 and a 413 have the id in the header and in the problem."""
    async with client_of(app) as client:
        broken = await client.get("/broken", headers={"X-Request-ID": "x1"})
        refused = await client.post("/raw", content=b"a" * 2_000, headers={"X-Request-ID": "x2"})

    assert (broken.headers["X-Request-ID"], broken.json()["request_id"]) == ("x1", "x1")
    assert (refused.headers["X-Request-ID"], refused.json()["request_id"]) == ("x2", "x2")


async def test_it_ends_with_its_request(client_of, app):
    """After a request, code in the same context sees no id."""
    async with client_of(app) as client:
        await client.get("/id")

    assert current_request_id() is None


def test_there_is_none_outside_a_request():
    """Code that runs outside a request sees no id."""
    assert current_request_id() is None
