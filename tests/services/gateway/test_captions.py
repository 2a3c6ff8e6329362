"""Captions through the gateway: cache, versions, one answer for all who ask the same."""

import asyncio

from tests.timeless import timeless


def form(*pictures: bytes, **options: object) -> dict[str, object]:
    return {"files": [("image", ("p.jpg", picture, "image/jpeg")) for picture in pictures], "data": options}


def texts(response) -> list[str | None]:
    return [each["captions"][0]["text"] if "captions" in each else None for each in response.json()["results"]]


async def test_second_time_is_a_hit(client, door):
    """A picture is captioned once; the second answer is the same and comes from the cache."""
    first = await client.post("/v1/captions", **form(b"dog"))
    second = await client.post("/v1/captions", **form(b"dog"))

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.json() == second.json()
    assert texts(second) == ["dog by c1"]
    assert door.caption.calls["captions"] == 1


async def test_only_misses_are_asked_for(client, door):
    """Of several pictures only the unknown ones go upstream, in one request, and the order of the answer is kept."""
    await client.post("/v1/captions", **form(b"two"))
    door.caption.pictures.clear()

    response = await client.post("/v1/captions", **form(b"one", b"two", b"three"))

    assert response.headers["X-Cache"] == "partial"
    assert texts(response) == ["one by c1", "two by c1", "three by c1"]
    assert door.caption.pictures == [b"one", b"three"]
    assert door.caption.calls["captions"] == 2


async def test_same_picture_twice_is_asked_for_once(client, door):
    """A picture that a request holds twice is sent upstream once and answered twice."""
    response = await client.post("/v1/captions", **form(b"dog", b"dog"))

    assert texts(response) == ["dog by c1", "dog by c1"]
    assert door.caption.pictures == [b"dog"]


async def test_options_are_part_of_the_key(client, door):
    """Other options are another question; the model's name and its being the default are the same."""
    await client.post("/v1/captions", **form(b"dog"))
    other = await client.post("/v1/captions", **form(b"dog", num_beams=5))
    named = await client.post("/v1/captions", **form(b"dog", model="gru"))

    assert other.headers["X-Cache"] == "miss"
    assert named.headers["X-Cache"] == "hit"
    assert [options.num_beams for options in door.caption.options] == [3, 5]


async def test_failing_picture_stands_in_its_place(client, door):
    """A picture that fails among others has its problem in its place, and is not cached."""
    first = await client.post("/v1/captions", **form(b"dog", b"BAD", b"TXT"))
    second = await client.post("/v1/captions", **form(b"dog", b"BAD", b"TXT"))

    for response in (first, second):
        assert response.status_code == 200
        errors = [each.get("error") for each in response.json()["results"]]
        assert [error and error["status"] for error in errors] == [None, 400, 415]
        assert errors[1]["request_id"] == response.headers["X-Request-ID"]
    assert second.headers["X-Cache"] == "partial"
    assert door.caption.pictures == [b"dog", b"BAD", b"TXT", b"BAD", b"TXT"]


async def test_the_only_miss_fails(client, door):
    """When the one picture that is not cached fails, the others are answered all the same."""
    await client.post("/v1/captions", **form(b"dog"))
    response = await client.post("/v1/captions", **form(b"dog", b"BAD"))

    assert response.status_code == 200
    assert texts(response) == ["dog by c1", None]
    assert response.json()["results"][1]["error"]["status"] == 400


async def test_the_same_bad_picture_twice(client):
    """A request that holds one bad picture twice gets two results, not one status."""
    response = await client.post("/v1/captions", **form(b"BAD", b"BAD"))

    assert response.status_code == 200
    assert [each["error"]["status"] for each in response.json()["results"]] == [400, 400]


async def test_problem_of_the_only_picture_is_the_answer(client):
    """With one picture in the request its problem is the reply."""
    for picture, status in ((b"BAD", 400), (b"TXT", 415)):
        response = await client.post("/v1/captions", **form(picture))

        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["X-Request-ID"]


@timeless
async def test_identical_requests_are_answered_by_one_call(client, door):
    """Concurrent identical requests make one upstream call, and each has its own request id."""
    door.caption.go_on.clear()
    asked = [
        asyncio.create_task(client.post("/v1/captions", **form(b"dog", b"BAD"), headers={"X-Request-ID": f"r{i}"}))
        for i in range(10)
    ]
    await asyncio.sleep(0.5)
    door.caption.go_on.set()
    replies = await asyncio.gather(*asked)

    assert {reply.status_code for reply in replies} == {200}
    assert [reply.json()["results"][1]["error"]["request_id"] for reply in replies] == [f"r{i}" for i in range(10)]
    assert door.caption.calls["captions"] == 1


async def test_a_new_model_is_never_answered_for_by_the_old(client, door, until):
    """After a swap of the model the cached answer of the old one is gone as soon as the poll has seen the new one."""
    await client.post("/v1/captions", **form(b"dog"))
    door.caption.fingerprint = "c2"

    async def is_new() -> bool:
        return texts(await client.post("/v1/captions", **form(b"dog"))) == ["dog by c2"]

    await until(is_new)
    again = [await client.post("/v1/captions", **form(b"dog")) for _ in range(20)]
    assert {tuple(texts(response)) for response in again} == {("dog by c2",)}


async def test_answer_of_another_model_is_kept_under_its_own_key(door, ready_client):
    """An answer that a model gave while another was believed to answer is never served for the other."""
    door.settings["poll_s"] = 3_600
    async with ready_client(door) as client:
        door.caption.fingerprint = "c2"
        door.caption.missing = {"model": "Polls see nothing now."}
        first = await client.post("/v1/captions", **form(b"dog"))
        door.caption.fingerprint = "c1"
        second = await client.post("/v1/captions", **form(b"dog"))

    assert texts(first) == ["dog by c2"]
    assert texts(second) == ["dog by c1"]


async def test_a_reply_betrays_the_new_model(door, ready_client, until):
    """Between two polls, a reply of another model than believed makes the gateway ask at once."""
    door.settings["poll_s"] = 3_600
    async with ready_client(door) as client:
        await client.post("/v1/captions", **form(b"dog"))
        door.caption.fingerprint = "c2"
        await client.post("/v1/captions", **form(b"cat"))

        async def is_new() -> bool:
            return texts(await client.post("/v1/captions", **form(b"dog"))) == ["dog by c2"]

        await until(is_new)


async def test_a_reply_is_the_work_of_one_model(door, ready_client):
    """When the model changes between a cached picture and a new one, all pictures of the reply are asked for again."""
    door.settings["poll_s"] = 3_600
    async with ready_client(door) as client:
        await client.post("/v1/captions", **form(b"dog"))
        door.caption.fingerprint = "c2"
        response = await client.post("/v1/captions", **form(b"dog", b"cat"))

    assert texts(response) == ["dog by c2", "cat by c2"]
    assert response.json()["model"]["fingerprint"] == "c2"
    assert response.headers["X-Cache"] == "miss"


async def test_requests_beyond_the_limit_are_refused(door, client_of, until):
    """Beyond what is worked on at once, a request is answered 429 with Retry-After."""
    door.settings["max_requests"] = 3
    door.caption.go_on.clear()
    async with client_of(door.app) as client:
        asked = [asyncio.create_task(client.post("/v1/captions", **form(f"p{i}".encode()))) for i in range(8)]
        await until(lambda: sum(each.done() for each in asked) == 5)
        door.caption.go_on.set()
        replies = await asyncio.gather(*asked)

    assert sorted(reply.status_code for reply in replies) == [200, 200, 200, 429, 429, 429, 429, 429]
    assert {reply.headers["Retry-After"] for reply in replies if reply.status_code == 429} == {"1"}


@timeless
async def test_deadline(door, client_of):
    """An answer that takes too long is a 504, and the upstream call ends with it."""
    door.settings["deadline_s"] = 1
    door.caption.go_on.clear()
    async with client_of(door.app) as client:
        response = await client.post("/v1/captions", **form(b"dog"))

    assert response.status_code == 504
    assert door.caption.gone == 1


async def test_request_id_travels(client, door):
    """The caption service gets the caller's request id and its own name as the host."""
    await client.post("/v1/captions", **form(b"dog"), headers={"X-Request-ID": "trace-7"})

    [headers] = door.caption.headers
    assert headers["X-Request-ID"] == "trace-7"
    assert headers["Host"] == "caption:8001"


async def test_captions_while_retrieval_is_down(client, door, until):
    """Captions work while the retrieval service is away, and health says what is missing."""
    del door.network.machines["10.0.0.2:8002"]
    response = await client.post("/v1/captions", **form(b"dog"))

    async def is_noticed() -> bool:
        return (await client.get("/health/ready")).json()["parts"].keys() == {"retrieval"}

    assert response.status_code == 200
    await until(is_noticed)
