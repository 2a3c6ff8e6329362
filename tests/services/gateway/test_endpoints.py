"""Bad requests: each gets a problem with the right status, none a 500, none waits for ever."""

import asyncio
import base64
import json

import httpx
import pytest

from imagetext.wire.search import MAX_QUERY_CHARACTERS

PNG = ("image", ("a.png", b"dog", "image/png"))


def is_problem(response: httpx.Response, status: int) -> bool:
    body = response.json()
    return (
        response.status_code == status == body["status"]
        and response.headers["Content-Type"] == "application/problem+json"
        and body["request_id"] == response.headers["X-Request-ID"]
        and len(body["detail"]) > 10
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"num_captions": "0"},
        {"num_captions": "6"},
        {"num_beams": "-1"},
        {"num_beams": "1e9"},
        {"num_beams": "many"},
        {"max_new_tokens": "61"},
        {"attention": "perhaps"},
        {"model": "x" * 201},
        {"temperature": "1"},
        {"": "1"},
        {"url": "http://example.com/a.jpg"},
        {"num_beams": ["3", "4"]},
        {"note": "x" * 100_000},
        {f"field{i}": "1" for i in range(50)},
    ],
)
async def test_bad_caption_options(client, door, fields):
    """An option that is not one, or has an impossible value, is a 422 and goes no further."""
    assert is_problem(await client.post("/v1/captions", files=[PNG], data=fields), 422)
    assert door.caption.calls["captions"] == 0


async def test_bad_caption_forms(client, door):
    """Forms without a picture, with too many, with files or text in the wrong place, or damaged, are a 422."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\ndog'
    replies = [
        await client.post("/v1/captions", files=[PNG] * 17),
        await client.post("/v1/captions", files=[("picture", PNG[1])]),
        await client.post("/v1/captions", files=[("image", (None, b"dog"))]),
        await client.post("/v1/captions", files=[("num_beams", PNG[1]), PNG]),
        await client.post("/v1/captions", content=b"", headers=kind),
        await client.post("/v1/captions", content=b"dog", headers=kind),
        await client.post("/v1/captions", content=part, headers=kind),
        await client.post("/v1/captions", content=part, headers={"Content-Type": "multipart/form-data"}),
        await client.post("/v1/captions", data={"image": "dog"}),
    ]

    assert all(is_problem(reply, 422) for reply in replies), [reply.text for reply in replies]
    assert door.caption.calls["captions"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"image": "dog" "url"}',
        b"{}",
        b'{"image": "ZG9n", "url": "http://example.com/"}',
        b'{"image": "not base64!"}',
        b'{"image": "data:image/png,dog"}',
        b'{"image": 7}',
        b'{"image": "ZG9n", "num_beams": 0}',
        b'{"image": "ZG9n", "k": 1}',
        b'{"image": "\\ud800"}',
        b'{"url": ""}',
        b'{"url": "file:///etc/passwd"}',
        b'{"url": "http://127.0.0.1/"}',
        b'{"url": "http://[::1]:6379/"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_bad_caption_json(client, door, body):
    """JSON that names no picture, or one that may not be fetched, is a 422."""
    response = await client.post("/v1/captions", content=body, headers={"Content-Type": "application/json"})

    assert is_problem(response, 422), response.text
    assert door.caption.calls["captions"] == 0


async def test_picture_in_base64(client, door):
    """A picture in base64, bare or in a data: URI, is the same picture as in a form."""
    encoded = base64.b64encode(b"dog").decode()
    await client.post("/v1/captions", files=[PNG])
    bare = await client.post("/v1/captions", json={"image": encoded, "num_beams": 3})
    uri = await client.post("/v1/captions", json={"image": f"data:image/png;base64,{encoded}"})

    assert (bare.headers["X-Cache"], uri.headers["X-Cache"]) == ("hit", "hit")
    assert door.caption.pictures == [b"dog"]


async def test_unknown_model(client):
    """What the service says of an unknown model reaches the caller."""
    response = await client.post("/v1/captions", files=[PNG], data={"model": "nobody"})

    assert is_problem(response, 404)
    assert response.json()["detail"] == "There is no model of this name."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": " \n\t"},
        {"text": "x" * 100_000},
        {"text": "x" * (MAX_QUERY_CHARACTERS + 1)},
        {"text": None},
        {"text": 7},
        {"parts": []},
        {"like": "0123456789abcdef", "parts": [{"text": "dog", "like": "0123456789abcdef"}]},
        {"text": "dog", "k": 0},
        {"text": "dog", "k": -1},
        {"text": "dog", "k": 1_000_000_000},
        {"text": "dog", "k": 1e9},
        {"text": "dog", "k": "many"},
        {"text": "dog", "k": None},
        {"text": "dog", "offset": -1},
        {"text": "dog", "offset": 10**30},
        {"text": "dog", "colour": "red"},
        ["dog"],
        "dog",
    ],
)
async def test_bad_searches(client, door, body):
    """A search without words, with too many, or with an impossible number is a 422 and goes no further."""
    assert is_problem(await client.post("/v1/search", json=body), 422)
    assert door.retrieval.calls["search"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b'{"text": "\\ud800"}', b"\xff", b"[" * 100_000, b"dog"])
async def test_search_bodies_that_are_not_json(client, body):
    """Bodies that are not JSON, or not in UTF-8, are the caller's mistake."""
    response = await client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})

    assert is_problem(response, 422), response.text


async def test_queries_of_every_alphabet(client):
    """Any letters may be searched for, and a query may be as long as the limit."""
    for text in ("犬と猫", "собака", "🐕‍🦺", "a" * MAX_QUERY_CHARACTERS, "'; DROP TABLE rows; --"):
        response = await client.post("/v1/search", json={"text": text})

        assert response.status_code == 200
        assert response.json()["results"][0]["path"] == f"v1/{text}.jpg"


async def test_a_form_may_say_what_json_may(client, door):
    """The longest text and filter of any alphabet, each in its field, arrive as they were sent."""
    filter = {"folder": "犬" * 2_000, "tags": [f"собака {number} {'ж' * 180}" for number in range(20)]}
    data = {"text": "🐕" * MAX_QUERY_CHARACTERS, "filter": json.dumps(filter), "hybrid": "true"}
    response = await client.post("/v1/search/image", files=[PNG], data=data)

    assert response.status_code == 200, response.text
    (options,) = door.retrieval.image_options
    assert (options.text, options.hybrid) == (data["text"], True)
    assert options.filter is not None and options.filter.folder == filter["folder"]
    assert options.filter.tags == sorted(filter["tags"])


@pytest.mark.parametrize(
    "data", [{"k": "0"}, {"k": "-1"}, {"k": "1000000000"}, {"k": "x"}, {"offset": "-1"}, {"size": "1"}]
)
async def test_bad_searches_by_picture(client, door, data):
    """A search by picture takes one picture and a sensible k."""
    assert is_problem(await client.post("/v1/search/image", files=[PNG], data=data), 422)
    assert is_problem(await client.post("/v1/search/image", files=[PNG, PNG]), 422)
    assert is_problem(await client.post("/v1/search/image", json={"image": "ZG9n"}), 422)
    assert door.retrieval.calls["search/image"] == 0


async def test_what_is_no_picture(client):
    """What is no picture is the service's to tell, and its 415 reaches the caller."""
    assert is_problem(await client.post("/v1/search/image", files=[("image", ("a", b"TXT"))]), 415)


async def test_bodies_over_the_limit(client, door):
    """100 MB are refused, announced or not."""

    async def pour():
        for _ in range(100):
            yield b"x" * 1_000_000

    announced = await client.post("/v1/captions", files=[("image", ("a", b"x" * 100_000_000))])
    poured = await client.post("/v1/captions", content=pour(), headers={"Content-Type": "application/json"})

    assert is_problem(announced, 413)
    assert is_problem(poured, 413)
    assert door.caption.calls["captions"] == 0


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/captions/", "/v1/pictures", "/%00", "/../../etc/passwd", "/v1/%2e%2e/"]
)
async def test_unknown_addresses(client, path):
    """Addresses that nobody serves are a 404."""
    assert is_problem(await client.get(path), 404)


async def test_uploads_in_memory_are_bounded(door, client_of, until):
    """While as many uploads are held as may be, another is told to wait before it is read."""
    door.settings["max_requests"] = 1
    door.caption.go_on.clear()
    async with client_of(door.app) as client:
        first = asyncio.create_task(client.post("/v1/captions", files=[PNG]))
        await until(lambda: door.caption.calls["captions"] == 1)
        replies = [await client.post("/v1/captions", files=[PNG]), await client.post("/v1/search/image", files=[PNG])]
        door.caption.go_on.set()

        assert all(is_problem(reply, 429) for reply in replies)
        assert (await first).status_code == 200
        assert (await client.post("/v1/search/image", files=[PNG])).status_code == 200


async def test_wrong_methods(client):
    """A known address with a wrong method is a 405."""
    assert is_problem(await client.get("/v1/captions"), 405)
    assert is_problem(await client.delete("/v1/search"), 405)


async def test_models_of_both_services(client, door):
    """The models of both services are listed together; without one service the other's are there."""
    both = (await client.get("/v1/models")).json()["models"]
    del door.network.machines["10.0.0.1:8001"]
    one = (await client.get("/v1/models")).json()["models"]
    door.network.machines.clear()

    assert [model["kind"] for model in both] == ["captioner", "encoder"]
    assert [model["kind"] for model in one] == ["encoder"]
    assert is_problem(await client.get("/v1/models"), 503)


async def test_index(client, door):
    """The index is described by the retrieval service."""
    assert (await client.get("/v1/index")).json()["version"] == "v1"
    door.network.machines.clear()
    assert is_problem(await client.get("/v1/index"), 503)


async def test_api_is_documented(client):
    """The API's description names the fields of both forms of a caption request."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    content = paths["/v1/captions"]["post"]["requestBody"]["content"]

    assert {"image", "num_beams"} <= content["multipart/form-data"]["schema"]["properties"].keys()
    assert {"image", "url", "num_beams"} <= content["application/json"]["schema"]["properties"].keys()
    assert paths.keys() >= {"/v1/search", "/v1/search/image", "/v1/images/{image_id}", "/v1/models", "/v1/index"}
