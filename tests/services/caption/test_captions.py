"""POST /v1/captions, as its callers meet it."""

import asyncio
import base64

import pytest

from tests.patience import PATIENCE, until


def _files(*pictures: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", (f"{number}.png", picture)) for number, picture in enumerate(pictures)]


async def test_one_picture(client_of, app, picture):
    """A picture comes back as a caption with its score, the picture's size and the model."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red", (40, 30))))

    assert reply.status_code == 200
    assert reply.json() == {
        "model": {"name": "gru", "kind": "captioner", "fingerprint": "gru-1", "parameters": 3, "default": True},
        "results": [{"captions": [{"text": "something red", "score": -0.5}], "width": 40, "height": 30}],
    }


async def test_order_is_kept(client_of, app, picture):
    """Sixteen pictures come back in the order in which they were sent."""
    colours = ["red", "green", "blue", "grey"] * 4
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(*map(picture, colours)))

    assert [each["captions"][0]["text"] for each in reply.json()["results"]] == [f"something {c}" for c in colours]


async def test_damaged_picture_fails_in_its_place(client_of, app, picture):
    """What is wrong with one picture stands where its result would; the others are captioned."""
    cut = picture("green", (300, 300))[:200]
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red"), cut, b"a text", picture("blue")))
    red, damaged, text, blue = reply.json()["results"]

    assert reply.status_code == 200
    assert (red["captions"][0]["text"], blue["captions"][0]["text"]) == ("something red", "something blue")
    assert (damaged["error"]["status"], text["error"]["status"]) == (400, 415)
    assert text["error"]["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(("content", "status"), [(b"a text", 415), (b"", 415), (b"\x89PNG\r\n\x1a\n cut", 400)])
async def test_only_pictures_problem_is_the_answer(client_of, app, content, status):
    """With a single picture its problem is the reply itself."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(content))

    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/problem+json")


async def test_limits_of_a_picture(client_of, make_app, picture):
    """A picture of too many pixels or bytes is a 413, told before it is decoded."""
    async with client_of(make_app(max_picture_pixels=1_000, max_picture_bytes=100)) as client:
        wide = await client.post("/v1/captions", files=_files(picture("red", (101, 10))))
        heavy = await client.post("/v1/captions", files=_files(picture("red", (10, 10)) + bytes(200)))

    assert (wide.status_code, heavy.status_code) == (413, 413)


async def test_body_limit(client_of, make_app, picture):
    """A body over the service's limit is a 413."""
    async with client_of(make_app(max_body_bytes=1_000)) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red") + bytes(1_000)))

    assert reply.status_code == 413


async def test_model_that_fails_on_one_picture_harms_no_other(client_of, app, captioner, picture):
    """A picture that breaks its batch is a 500 in its place, which says nothing of the reason."""
    async with client_of(app) as client:
        captioner.poison = "green"
        reply = await client.post("/v1/captions", files=_files(*map(picture, ("red", "green", "blue"))))
    red, green, blue = reply.json()["results"]

    assert (red["captions"][0]["text"], blue["captions"][0]["text"]) == ("something red", "something blue")
    assert green["error"]["status"] == 500
    assert "hunter2" not in reply.text


async def test_options_reach_the_model(client_of, app, captioner, picture):
    """Options are passed on as they were given; beams are raised to the number of captions."""
    options = {"num_captions": "4", "num_beams": "2", "max_new_tokens": "9", "attention": "true"}
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red")), data=options)
    captions = reply.json()["results"][0]["captions"]
    _, decoding = captioner.batches[-1]

    assert (decoding.num_captions, decoding.num_beams, decoding.max_new_tokens) == (4, 4, 9)
    assert [each["score"] for each in captions] == [-0.5, -1.5, -2.5, -3.5]
    assert captions[0]["words"][1] == {"text": "red", "attention": [[0.25, 0.25], [0.25, 0.25]]}


async def test_model_is_chosen_by_name(client_of, app, picture):
    """A model is used by the name under which it is listed; an unknown name is a 404."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red")), data={"model": "vit"})
        unknown = await client.post("/v1/captions", files=_files(picture("red")), data={"model": "nobody"})

    assert reply.json()["model"]["name"] == "vit"
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_captions": "0"}, "num_captions"),
        ({"num_captions": "6"}, "num_captions"),
        ({"num_beams": "many"}, "num_beams"),
        ({"max_new_tokens": "1e9"}, "max_new_tokens"),
        ({"attention": "perhaps"}, "attention"),
        ({"temperature": "1"}, "temperature"),
        ({"num_beams": ["2", "3"]}, "num_beams"),
        ({"model": "m" * 201}, "model"),
    ],
)
async def test_bad_options_are_named(client_of, app, picture, options, named):
    """An option that is unknown, doubled or out of range is a 422 that names it."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=_files(picture("red")), data=options)

    assert reply.status_code == 422
    assert f"`{named}`" in reply.json()["detail"]


async def test_number_of_pictures(client_of, app, picture):
    """No picture, seventeen, or a thousand are a 422."""
    async with client_of(app) as client:
        none = await client.post("/v1/captions", files=[("image", (None, b"text"))])
        seventeen = await client.post("/v1/captions", files=_files(*[picture("red")] * 17))
        thousand = await client.post("/v1/captions", files=_files(*[b""] * 1_000))

    assert [reply.status_code for reply in (none, seventeen, thousand)] == [422, 422, 422]
    assert "1 to 16" in seventeen.json()["detail"]


async def test_absurd_options(client_of, app, picture):
    """A thousand options, or one of a megabyte, are a 422."""
    many = {f"option{number}": "1" for number in range(1_000)}
    async with client_of(app) as client:
        thousand = await client.post("/v1/captions", files=_files(picture("red")), data=many)
        long = await client.post("/v1/captions", files=_files(picture("red")), data={"model": "m" * 1_000_000})

    assert (thousand.status_code, long.status_code) == (422, 422)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'),
        ("application/json", b"{"),
        ("application/json", b'{"image": "\xff"}'),
        ("application/json", b"[]"),
        ("text/plain", b"hello"),
        ("application/x-www-form-urlencoded", b"image=1"),
    ],
)
async def test_unreadable_bodies_are_the_callers_fault(client_of, app, content_type, body):
    """Broken forms, broken JSON and other bodies are a 422 problem."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", content=body, headers={"Content-Type": content_type})

    assert (reply.status_code, reply.headers["Content-Type"]) == (422, "application/problem+json")


async def test_file_in_another_field_is_named(client_of, app, picture):
    """A file outside the field `image` is a 422 that names its field."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", files=[("photo", ("a.png", picture("red")))])

    assert (reply.status_code, "`photo`" in reply.json()["detail"]) == (422, True)


@pytest.mark.parametrize("form", ["{}", "data:image/png;base64,{}", "DATA:;BASE64,{}"])
async def test_json_with_base64(client_of, app, picture, form):
    """A JSON body carries one picture in base64, bare or as a data: URI, and the options."""
    encoded = base64.encodebytes(picture("blue", (300, 200))).decode()
    body = {"image": form.format(encoded), "num_captions": 2}
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", json=body)

    assert [each["text"] for each in reply.json()["results"][0]["captions"]] == ["something blue"] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"image": "not base64!"},
        {"image": "abc"},
        {"image": "ä"},
        {"image": "data:image/png,abc"},
        {"image": None},
        {"image": 7},
        {"url": "http://example.org/a.jpg"},
        {"image": "aaaa", "url": "http://example.org/a.jpg"},
        {"image": "aaaa", "colour": "red"},
        {},
    ],
)
async def test_bad_json_is_named(client_of, app, body):
    """JSON without a picture in base64, or with an address to fetch, is a 422 about that field."""
    async with client_of(app) as client:
        reply = await client.post("/v1/captions", json=body)

    assert reply.status_code == 422
    assert "`" in reply.json()["detail"]


async def test_deadline(client_of, make_app, captioner, picture):
    """An answer that does not come in time is a 504, and the waiting work is dropped."""
    async with client_of(make_app(deadline_s=1)) as client:
        statuses: list[int] = []

        async def ask(colour: str) -> None:
            statuses.append((await client.post("/v1/captions", files=_files(picture(colour)))).status_code)

        async def reaches_the_model() -> bool:
            await ask("red")
            return captioner.held.is_set()

        async def is_answered() -> bool:
            await ask("blue")
            return statuses[-1] == 200

        captioner.hold()
        await until(reaches_the_model)
        await ask("green")
        late = list(statuses)
        captioner.release()
        await until(is_answered)

    assert set(late) == {504}
    captioned = [colour for colours, _ in captioner.batches[1:] for colour in colours]
    assert captioned[0] == "red" and "blue" in captioned and "green" not in captioned


async def test_full_queue_tells_when_to_come_again(client_of, make_app, captioner, picture, queue_of):
    """When the queue has no room for a request's pictures, the whole request is a 429 with Retry-After."""
    sixteen = _files(*[picture("red")] * 16)
    async with client_of(make_app(queue_size=16)) as client:
        captioner.hold()
        first = asyncio.create_task(client.post("/v1/captions", files=_files(picture("blue"))))
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        second = asyncio.create_task(client.post("/v1/captions", files=sixteen))
        await queue_of(client, 16)
        refused = await client.post("/v1/captions", files=sixteen)
        captioner.release()
        replies = await asyncio.gather(first, second)

    assert (refused.status_code, refused.json()["title"]) == (429, "Too many requests")
    assert int(refused.headers["Retry-After"]) >= 1
    assert [reply.status_code for reply in replies] == [200, 200]


async def test_refused_request_leaves_nothing_in_the_queue(client_of, make_app, captioner, picture, queue_of):
    """Of a request that is refused half way, the pictures that had found room give it back."""
    async with client_of(make_app(queue_size=16)) as client:
        captioner.hold()
        held = asyncio.create_task(client.post("/v1/captions", files=_files(picture("blue"))))
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        ten = asyncio.create_task(client.post("/v1/captions", files=_files(*[picture("red")] * 10)))
        await queue_of(client, 10)
        refused = await client.post("/v1/captions", files=_files(*[picture("green")] * 16))
        await queue_of(client, 10)
        captioner.release()
        replies = await asyncio.gather(held, ten)

    assert (refused.status_code, [reply.status_code for reply in replies]) == (429, [200, 200])
    assert not any("green" in colours for colours, _ in captioner.batches)


async def test_too_many_requests_are_refused_before_their_bodies_are_read(client_of, make_app, captioner, picture):
    """Beyond `max_requests` a request is a 429 at once."""
    async with client_of(make_app(max_requests=1)) as client:
        captioner.hold()
        first = asyncio.create_task(client.post("/v1/captions", files=_files(picture("blue"))))
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        refused = await client.post("/v1/captions", content=b"not even a form")
        captioner.release()
        answered = await first
        after = await client.post("/v1/captions", files=_files(picture("blue")))

    assert (refused.status_code, answered.status_code, after.status_code) == (429, 200, 200)


async def test_requests_that_wait_share_a_batch(client_of, app, captioner, picture, queue_of):
    """Pictures of different requests with the same options run together; other options run apart."""
    async with client_of(app) as client:
        captioner.hold()
        requests = [asyncio.create_task(client.post("/v1/captions", files=_files(picture("red"))))]
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        for colour, beams in (("green", 3), ("blue", 3), ("grey", 5)):
            data = {"num_beams": str(beams)}
            requests.append(asyncio.create_task(client.post("/v1/captions", files=_files(picture(colour)), data=data)))
        await queue_of(client, 3)
        captioner.release()
        await asyncio.gather(*requests)

    assert sorted(sorted(colours) for colours, _ in captioner.batches[1:]) == [["blue", "green"], ["grey"], ["red"]]


@pytest.mark.parametrize(("measured", "said", "most"), [(2, 0, 2), (2, 3, 3), (None, 0, 8)])
async def test_batches_are_as_large_as_was_measured(
    client_of, make_app, captioner, picture, queue_of, measured, said, most
):
    """A setting goes before what was measured; where nobody did either, eight pictures share a batch."""
    captioner.best_batch = measured
    async with client_of(make_app(max_batch=said)) as client:
        captioner.hold()
        first = asyncio.create_task(client.post("/v1/captions", files=_files(picture("blue"))))
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        others = asyncio.create_task(client.post("/v1/captions", files=_files(*[picture("red")] * 9)))
        await queue_of(client, 9)
        captioner.release()
        await asyncio.gather(first, others)

    assert max(len(colours) for colours, _ in captioner.batches) == most


async def test_dead_model_is_unavailable(client_of, app, captioner, picture):
    """When the model's thread has ended, captions are 503 and the service is not ready, but lives."""
    async with client_of(app) as client:
        captioner.deadly = "red"
        during = await client.post("/v1/captions", files=_files(picture("red")))
        after = await client.post("/v1/captions", files=_files(picture("blue")))
        ready, live = await client.get("/health/ready"), await client.get("/health/live")

    assert (during.status_code, after.status_code, ready.status_code, live.status_code) == (503, 503, 503, 200)
    assert "model" in ready.json()["parts"]
