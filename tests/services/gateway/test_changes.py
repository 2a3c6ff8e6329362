"""Pictures added and deleted through the gateway: by operators only, and seen by the next search."""

import asyncio

import pytest

from imagetext.wire.errors import IndexFull
from services.gateway.watched import Watched

KEY = {"Authorization": "Bearer open sesame é".encode()}
ID = "0123456789abcdef"


@pytest.fixture
def guarded(door):
    door.settings |= {"operator_key": "open sesame é", "poll_s": 30}
    return door


@pytest.fixture
async def client(guarded, ready_client):
    async with ready_client(guarded) as client:
        yield client


async def add(client, headers=KEY, **fields):
    return await client.post("/v1/images", files=[("image", ("p", b"one"))], data=fields, headers=headers)


async def test_a_picture_travels_with_its_description(client, door):
    """The reply is the retrieval service's."""
    files = [("image", ("p", b"one")), ("image", ("p", b"two"))]
    reply = await client.post("/v1/images", files=files, data={"metadata": "x" * 150_000}, headers=KEY)

    assert reply.status_code == 200
    assert reply.json()["results"] == [{"id": ID, "path": "a.jpg", "replaced": False}]
    assert door.retrieval.added == [([b"one", b"two"], {"metadata": "x" * 150_000})]


async def test_the_next_search_sees_a_change(client, door):
    """Though the search is cached and the index is asked about rarely: the reply waits until the new state is known."""

    async def found():
        reply = await client.post("/v1/search", json={"text": "a dog"})
        return reply.json()["results"][0]["path"], reply.headers["X-Cache"]

    assert [await found(), await found()] == [("v1/a dog.jpg", "miss"), ("v1/a dog.jpg", "hit")]
    await add(client)
    assert [await found(), await found()] == [("v1+/a dog.jpg", "miss"), ("v1+/a dog.jpg", "hit")]
    deleted = await client.delete(f"/v1/images/{ID}", headers=KEY)
    assert deleted.json() == {"index": {"version": "v1++", "size": 1}, "id": ID}
    assert await found() == ("v1++/a dog.jpg", "miss")


async def test_what_was_cached_before_a_change_is_not_answered_after_it(client, door):
    """Also where the new state cannot be asked for: then nothing comes from the cache until it is known."""
    for _ in range(2):
        await client.post("/v1/search", json={"text": "a dog"})
    door.retrieval.missing = {"model": "It does not answer."}
    added = await add(client)
    after = await client.post("/v1/search", json={"text": "a dog"})

    assert added.status_code == 200
    assert (after.headers["X-Cache"], after.json()["index"]["version"]) == ("miss", "v1+")


@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open sesame"}])
async def test_without_the_key_nothing_is_changed(client, door, sent):
    """401, before the body is looked at."""
    answers = [await add(client, sent), await client.delete(f"/v1/images/{ID}", headers=sent)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert (door.retrieval.added, door.retrieval.deleted) == ([], [])


async def test_without_a_key_of_its_own_the_gateway_refuses(door, ready_client):
    """403 that names the setting."""
    async with ready_client(door) as client:
        answer = await add(client)

    assert answer.status_code == 403 and "GATEWAY_OPERATOR_KEY" in answer.json()["detail"]


async def test_what_cannot_be_is_refused_here(client, door):
    """An id that no picture has, and fields that do not exist."""
    assert (await client.delete("/v1/images/..%2fx", headers=KEY)).status_code == 404
    assert (await client.delete("/v1/images/x", headers=KEY)).status_code == 404
    assert (await add(client, colour="red")).status_code == 422
    assert door.retrieval.calls["add"] == 0


async def test_a_full_index_is_said_as_it_is(client, door):
    """507 with the sentence that says what to do."""
    door.retrieval.failure = IndexFull("Run the indexer.")
    answer = await add(client)

    assert (answer.status_code, answer.json()["detail"]) == (507, "Run the indexer.")


async def test_a_deletion_that_breaks_off_is_not_repeated(client, door):
    """A second one would say that there is no such picture; adding again does no harm."""
    door.network.breaking["10.0.0.2:8002"] = 1
    assert (await client.delete(f"/v1/images/{ID}", headers=KEY)).status_code == 503
    door.network.breaking["10.0.0.2:8002"] = 1
    assert (await add(client)).status_code == 200
    assert door.retrieval.calls["delete"] == 0


async def test_an_answer_that_was_asked_for_before_does_not_count_after(door):
    """A poll that takes long does not bring back what was known before a change."""
    answers = {"slow": asyncio.Event(), "value": 0}

    async def ask(deadline):
        answers["value"] += 1
        value = answers["value"]
        if value == 1:
            await answers["slow"].wait()
        return value

    watched = Watched("fake", ask, every_s=1)
    poll = asyncio.create_task(watched.refresh())
    await asyncio.sleep(0)
    await watched.refresh()
    answers["slow"].set()
    await poll

    assert watched.value == 2
