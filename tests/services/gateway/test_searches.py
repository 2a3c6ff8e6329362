"""Searches through the gateway: cache and index versions."""

import asyncio
import base64
import time

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from imagetext.wire.search import INDEX_VERSION_HEADER
from tests.timeless import timeless


def path_of(response) -> str:
    return response.json()["results"][0]["path"]


async def test_second_time_is_a_hit(client, door):
    """A search is answered once; the second answer is the same, but for the time that it took."""
    first = await client.post("/v1/search", json={"text": "a dog"})
    began = time.monotonic()
    second = await client.post("/v1/search", json={"text": "a dog"})
    took_ms = 1000 * (time.monotonic() - began)

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.json()["results"] == second.json()["results"]
    assert second.json()["index"] == {"version": "v1", "size": 1}
    assert second.json()["took_ms"] <= took_ms
    assert door.retrieval.calls["search"] == 1


async def test_replies_pass_as_they_are(client, door):
    """What the retrieval service says reaches the caller unread, the first time and from the cache."""
    said = {"index": {"version": "v1", "size": 1}, "results": [{"path": "a.jpg", "more": [1, None]}], "took_ms": 99_999}
    door.network.plug_in("10.0.0.2:8002", answering(JSONResponse(said, headers={INDEX_VERSION_HEADER: "v1"})))
    replies = [await client.post("/v1/search", json={"text": "a dog"}) for _ in range(2)]

    assert [reply.headers["X-Cache"] for reply in replies] == ["miss", "hit"]
    for reply in replies:
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.json() == said | {"took_ms": reply.json()["took_ms"]}
        assert reply.json()["took_ms"] < 99_999


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"", 200),
        PlainTextResponse("hello"),
        JSONResponse({"hello": 1}, headers={INDEX_VERSION_HEADER: "v1"}),
        JSONResponse({"results": [], "took_ms": 1}),
        HTMLResponse('{"results":[],"took_ms":1}', headers={INDEX_VERSION_HEADER: "v1"}),
        JSONResponse({"results": [], "took_ms": 1}, 302, {INDEX_VERSION_HEADER: "v1", "Location": "/"}),
        HTMLResponse("<h1>502</h1>", 502),
    ],
)
async def test_answers_of_somebody_else(client, door, answer):
    """An answer that is no reply to a search, or does not name its index version, is a 503 and is not kept."""
    door.network.plug_in("10.0.0.2:8002", answering(answer))
    for _ in range(2):
        response = await client.post("/v1/search", json={"text": "a dog"})

        assert (response.status_code, response.json()["status"]) == (503, 503)


def answering(answer: Response) -> ASGIApp:
    """A service that gives one answer to everything."""

    async def answer_all(scope, receive, send) -> None:
        await answer(scope, receive, send)

    return answer_all


async def test_white_space_is_no_difference(client, door):
    """Queries that differ in white space only are the same query."""
    await client.post("/v1/search", json={"text": "a dog"})
    response = await client.post("/v1/search", json={"text": "  a \n dog ", "k": 12, "offset": 0})

    assert response.headers["X-Cache"] == "hit"
    assert [request.text for request in door.retrieval.requests] == ["a dog"]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "A dog"},
        {"k": 5},
        {"offset": 12},
        {"text": None, "like": "a dog"},
        {"hybrid": True},
        {"filter": {"tags": ["a"]}},
    ],
)
async def test_what_tells_searches_apart(client, other):
    """Letter case, k, offset, the filter and the kind of query each make another search."""
    await client.post("/v1/search", json={"text": "a dog"})
    body = {key: value for key, value in ({"text": "a dog"} | other).items() if value is not None}

    assert (await client.post("/v1/search", json=body)).headers["X-Cache"] == "miss"


async def test_filters_are_sent_on_as_they_came(client, door):
    """By the names that they have outside; the same tags in another order are the same search."""
    filter = {"taken": {"from": "2024", "to": "2024-05"}, "tags": ["b", "a"], "width": {"min": 3}}
    first = await client.post("/v1/search", json={"text": "a dog", "filter": filter, "hybrid": True})
    second = await client.post(
        "/v1/search", json={"text": "a dog", "filter": filter | {"tags": ["A", "b"]}, "hybrid": True}
    )
    [request] = door.retrieval.requests

    assert (first.status_code, second.headers["X-Cache"]) == (200, "hit")
    assert request.hybrid
    assert request.filter.model_dump(exclude_none=True) == filter | {"tags": ["a", "b"]}


@pytest.mark.parametrize("body", [{"text": "x", "filter": {"colour": 1}}, {"like": "x", "hybrid": True}])
async def test_bad_filters_do_not_get_through(client, door, body):
    """They are a 422 at the door."""
    assert (await client.post("/v1/search", json=body)).status_code == 422
    assert door.retrieval.calls["search"] == 0


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ({"text": "beach -people"}, {"parts": [{"text": "people", "weight": -1}, {"text": "beach"}]}),
        ({"text": "beach", "like": "a1"}, {"parts": [{"like": "a1", "weight": 3}, {"text": "beach", "weight": 3}]}),
        ({"image": "ZG9n"}, {"image": "data:image/png;base64,ZG9n"}),
        ({"image": "ZG9n", "k": 12}, {"parts": [{"image": "Z G9\nn"}]}),
    ],
)
async def test_a_query_said_in_two_ways_is_one(client, door, body, same):
    """Words after a minus, parts in another order and another spelling of a picture find the cached answer."""
    first = await client.post("/v1/search", json=body)
    second = await client.post("/v1/search", json=same)

    assert (first.status_code, second.headers["X-Cache"]) == (200, "hit")
    assert door.retrieval.calls["search"] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"text": "beach - people"},
        {"text": "beach", "parts": [{"text": "people", "weight": -0.5}]},
        {"text": "beach people"},
        {"parts": [{"text": "beach -people"}]},
    ],
)
async def test_weights_and_signs_tell_searches_apart(client, other):
    """What is wanted, what is not, and how much, are all part of the question."""
    await client.post("/v1/search", json={"text": "beach -people"})

    assert (await client.post("/v1/search", json=other)).headers["X-Cache"] == "miss"


async def test_a_picture_is_the_same_in_json_and_in_a_form(client, door):
    """A picture in base64 with words has the answer of the same picture in a form with the same words."""
    form = {"text": "-people", "k": "3"}
    await client.post("/v1/search/image", files={"image": ("a.jpg", b"dog")}, data=form)
    again = await client.post("/v1/search", json={"image": "ZG9n", "text": "-people", "k": 3})

    assert again.headers["X-Cache"] == "hit"


async def test_large_pictures_in_json_reach_the_service(client, door):
    """Megabytes of base64 are passed on whole, and count as an upload."""
    encoded = base64.b64encode(bytes(3_000_000)).decode()
    reply = await client.post("/v1/search", json={"image": encoded, "text": "dog"})

    assert reply.status_code == 200
    assert door.retrieval.requests[0].image == encoded


async def test_large_searches_wait_for_memory(door, ready_client, until):
    """Beyond `max_requests`, a search that may hold pictures is a 429; one by words is answered."""
    door.settings["max_requests"] = 1
    encoded = base64.b64encode(bytes(300_000)).decode()
    async with ready_client(door) as client:
        door.retrieval.go_on.clear()
        first = asyncio.create_task(client.post("/v1/search", json={"image": encoded}))
        await until(lambda: door.retrieval.calls["search"] == 1)
        refused = await client.post("/v1/search", json={"image": encoded, "k": 3})
        door.retrieval.go_on.set()
        by_words = await client.post("/v1/search", json={"text": "dog"})

    assert (refused.status_code, by_words.status_code, (await first).status_code) == (429, 200, 200)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "`parts`"),
        ({"text": "-people"}, "unwanted"),
        ({"image": "?"}, "`image`"),
        ({"text": "a", "parts": [{"text": "b", "weight": 11}]}, "weight"),
        ({"parts": [{"text": "b"}] * 17}, "`parts`"),
    ],
)
async def test_impossible_queries_ask_nobody(client, door, body, named):
    """They are a 422 with the reason, from the gateway itself."""
    reply = await client.post("/v1/search", json=body)

    assert (reply.status_code, door.retrieval.calls["search"]) == (422, 0)
    assert named in reply.json()["detail"]


async def test_search_by_picture(client, door):
    """A search by picture is cached by the picture's content, k and offset."""

    async def search(picture: bytes, **page: int):
        data = {name: str(value) for name, value in page.items()}
        return await client.post("/v1/search/image", files={"image": ("a.jpg", picture)}, data=data)

    first, second = await search(b"dog", k=3), await search(b"dog", k=3, offset=0)
    others = [await search(b"dog", k=4), await search(b"cat", k=3), await search(b"dog", k=3, offset=3)]

    assert second.headers["X-Cache"] == "hit"
    assert path_of(first) == path_of(second)
    assert [response.headers["X-Cache"] for response in others] == ["miss"] * 3
    assert door.retrieval.calls["search/image"] == 4


@timeless
async def test_identical_searches_are_answered_by_one_call(client, door):
    """Concurrent identical searches make one upstream call."""
    door.retrieval.go_on.clear()
    asked = [asyncio.create_task(client.post("/v1/search", json={"text": "a dog"})) for _ in range(10)]
    await asyncio.sleep(0.5)
    door.retrieval.go_on.set()
    replies = await asyncio.gather(*asked)

    assert {reply.status_code for reply in replies} == {200}
    assert door.retrieval.calls["search"] == 1


async def test_a_new_version_is_never_answered_for_by_the_old(client, door, until):
    """After a swap of the index no answer comes from the old version once the poll has seen the new one."""
    await client.post("/v1/search", json={"text": "a dog"})
    door.retrieval.version = "v2"

    async def is_new() -> bool:
        return path_of(await client.post("/v1/search", json={"text": "a dog"})) == "v2/a dog.jpg"

    await until(is_new)
    again = [await client.post("/v1/search", json={"text": "a dog"}) for _ in range(20)]
    assert {path_of(response) for response in again} == {"v2/a dog.jpg"}


async def test_a_reply_betrays_the_new_version(door, until, ready_client):
    """Between two polls, a reply of another version than believed makes the gateway ask at once."""
    door.settings["poll_s"] = 3_600
    async with ready_client(door) as client:
        await client.post("/v1/search", json={"text": "a dog"})
        door.retrieval.version = "v2"
        await client.post("/v1/search", json={"text": "a cat"})

        async def is_new() -> bool:
            return path_of(await client.post("/v1/search", json={"text": "a dog"})) == "v2/a dog.jpg"

        await until(is_new)


@timeless
async def test_a_swap_under_way_stores_nothing_wrong(client, door, until):
    """An answer that the old version gave after the swap was seen is not kept for the new one."""
    door.retrieval.go_on.clear()
    slow = asyncio.create_task(client.post("/v1/search", json={"text": "a dog"}))
    await until(lambda: door.retrieval.calls["search"] == 1)
    door.retrieval.version = "v2"
    await asyncio.sleep(0.5)  # twenty-five polls
    door.retrieval.go_on.set()
    response = await client.post("/v1/search", json={"text": "a dog"})

    assert path_of(await slow) == "v1/a dog.jpg"
    assert response.headers["X-Cache"] == "miss"
    assert path_of(response) == "v2/a dog.jpg"


async def test_rollback_finds_the_old_answers(client, door, until):
    """After a rollback the answers of that version are still there."""
    await client.post("/v1/search", json={"text": "a dog"})
    for version in ("v2", "v1"):
        door.retrieval.version = version

        async def is_seen(version: str = version) -> bool:
            return path_of(await client.post("/v1/search", json={"text": "a dog"})) == f"{version}/a dog.jpg"

        await until(is_seen)
    response = await client.post("/v1/search", json={"text": "a dog"})

    assert response.headers["X-Cache"] == "hit"


async def test_searches_while_captions_are_down(client, door):
    """Searches work while the caption service is away."""
    del door.network.machines["10.0.0.1:8001"]

    assert (await client.post("/v1/search", json={"text": "a dog"})).status_code == 200
    response = await client.post("/v1/captions", files={"image": ("a.jpg", b"dog")})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


async def test_cached_answers_outlive_their_service(client, door):
    """What is cached is served while its service is away."""
    await client.post("/v1/search", json={"text": "a dog"})
    del door.network.machines["10.0.0.2:8002"]

    assert (await client.post("/v1/search", json={"text": "a dog"})).headers["X-Cache"] == "hit"
    assert (await client.post("/v1/search", json={"text": "a cat"})).status_code == 503
