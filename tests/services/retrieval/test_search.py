"""POST /v1/search and /v1/search/image, as their callers meet them."""

import asyncio
import base64

import pytest

from imagetext.index import picture_id
from tests.patience import PATIENCE, until


async def _paths(client, **body) -> list[str]:
    reply = await client.post("/v1/search", json=body)
    assert reply.status_code == 200, reply.text
    return [hit["path"] for hit in reply.json()["results"]]


async def test_words_find_pictures(client_of, app, album):
    """A search by words gives whole hits, best first, and the version that was searched."""
    async with client_of(app) as client:
        reply = (await client.post("/v1/search", json={"text": " red ", "k": 2})).json()
    best, second = reply["results"]
    id = picture_id("b/red.png")

    assert reply["index"] == {"version": album.index.joinpath("CURRENT").read_text().strip(), "size": 4}
    assert reply["took_ms"] >= 0
    assert best == {
        "id": id,
        "path": "b/red.png",
        "score": 1.0,
        "relevance": 1.0,
        "url": f"/v1/images/{id}",
        "thumbnail_url": f"/v1/images/{id}/thumbnail",
        "width": 40,
        "height": 30,
        "taken": None,
        "tags": [],
        "captions": [],
        "duplicates": [],
    }
    assert second["path"] == "yellow.png"
    assert second["score"] == pytest.approx(0.5**0.5)
    assert second["relevance"] == pytest.approx((1 + 0.5**0.5) / 2)


async def test_the_version_is_named_in_the_head(client_of, app, album, picture):
    """Who passes a reply on learns its index version without reading it; `took_ms` is the last that it says."""
    version = album.index.joinpath("CURRENT").read_text().strip()
    async with client_of(app) as client:
        replies = [
            await client.post("/v1/search", json={"text": "red"}),
            await client.post("/v1/search/image", files={"image": ("a.png", picture("blue"))}),
        ]

    assert [reply.headers["X-Index-Version"] for reply in replies] == [version] * 2
    assert [list(reply.json())[-1] for reply in replies] == ["took_ms"] * 2


async def test_like_finds_others(client_of, app):
    """A search by an indexed picture's id gives the pictures like it, without that picture."""
    async with client_of(app) as client:
        paths = await _paths(client, like=picture_id("b/red.png"), k=10)

    assert paths == ["yellow.png", "blue.png", "green.png"]


async def test_picture_finds_pictures(client_of, app, picture):
    """A search by an uploaded picture takes k and offset as form fields."""
    async with client_of(app) as client:
        files, data = {"image": ("a.png", picture("blue"))}, {"k": "1", "offset": "0"}
        reply = await client.post("/v1/search/image", files=files, data=data)

    assert [hit["path"] for hit in reply.json()["results"]] == ["blue.png"]


async def test_parts_are_searched_together(client_of, app, picture):
    """Words, an indexed picture and a picture in base64 add up, each by its weight; those named are no hits."""
    red, blue = picture_id("b/red.png"), base64.b64encode(picture("blue")).decode()
    async with client_of(app) as client:
        both = await _paths(client, text="red green", k=1)
        summed = await _paths(client, parts=[{"text": "red"}, {"text": "green"}], k=1)
        leaning = await _paths(client, parts=[{"text": "red", "weight": 0.1}, {"image": blue, "weight": 10}], k=1)
        named = await _paths(client, like=red, text="green", k=10)
        pictured = await _paths(client, image=blue, parts=[{"like": red, "weight": -1}], k=10)

    assert both == summed == ["yellow.png"]
    assert leaning == ["blue.png"]
    assert named == ["yellow.png", "green.png", "blue.png"]
    assert pictured == ["blue.png", "green.png", "yellow.png"]


async def test_a_minus_pushes_away(client_of, app):
    """Of two colours that fit, the one without what is unwanted comes first; a part is taken word by word."""
    async with client_of(app) as client:
        plain = (await client.post("/v1/search", json={"text": "yellow"})).json()["results"]
        without = (await client.post("/v1/search", json={"text": "yellow -red"})).json()["results"]
        said = (await client.post("/v1/search", json={"parts": [{"text": "yellow -red"}]})).json()["results"]

    assert [hit["path"] for hit in plain[:2]] == ["yellow.png", "b/red.png"]
    assert [hit["path"] for hit in without[:2]] == ["green.png", "yellow.png"]
    assert said[0]["path"] != "green.png"


async def test_a_form_may_say_more_than_its_picture(client_of, app, picture):
    """Text and an id are searched together with the uploaded picture."""
    async with client_of(app) as client:
        files = {"image": ("a.png", picture("yellow"))}
        reply = await client.post("/v1/search/image", files=files, data={"text": "-red", "k": "2"})
        both = await client.post("/v1/search/image", files=files, data={"like": picture_id("yellow.png")})

    assert [hit["path"] for hit in reply.json()["results"]] == ["green.png", "yellow.png"]
    assert "yellow.png" not in [hit["path"] for hit in both.json()["results"]]


async def test_a_part_that_fails_fails_the_query(client_of, app, encoder):
    """A picture that is none is named, whatever else is asked, and nothing of the query stays in the queue."""
    async with client_of(app) as client:
        reply = await client.post("/v1/search", json={"text": "red", "image": base64.b64encode(b"hello").decode()})
        after = await _paths(client, text="red", k=1)

    assert reply.status_code == 415
    assert after == ["b/red.png"]


async def test_pages_of_several_parts_follow_each_other(client_of, app):
    """Offset and k walk through the hits of a composed query without the pictures that it names."""
    named = [{"like": picture_id("b/red.png")}, {"like": picture_id("blue.png"), "weight": -0.5}]
    async with client_of(app) as client:
        whole = await _paths(client, parts=named, k=10)
        pages = [await _paths(client, parts=named, k=1, offset=offset) for offset in range(3)]

    assert sorted(whole) == ["green.png", "yellow.png"]
    assert [path for page in pages for path in page] == whole


async def test_what_is_not_relevant_is_left_out(client_of, app, picture):
    """Below `min_relevance` there are no hits, in a form too; where nothing fits the answer is empty."""
    async with client_of(app) as client:
        fitting = await _paths(client, text="red", min_relevance=0.8)
        pages = [await _paths(client, text="red", min_relevance=0.8, k=1, offset=offset) for offset in range(3)]
        nothing = await _paths(client, parts=[{"text": "red"}, {"text": "green"}, {"text": "blue"}], min_relevance=0.99)
        files, data = {"image": ("a.png", picture("blue"))}, {"min_relevance": "0.9", "collapse_duplicates": "true"}
        form = (await client.post("/v1/search/image", files=files, data=data)).json()["results"]

    assert fitting == ["b/red.png", "yellow.png"]
    assert pages == [["b/red.png"], ["yellow.png"], []]
    assert nothing == []
    assert [hit["path"] for hit in form] == ["blue.png"]


async def test_duplicates_are_shown_once(client_of, make_app, album, encoder):
    """A copy is no hit of its own; the first of its kind names the others, and they do not fill pages."""
    copies = [album.add(f"copies/{number}.png", "red") for number in range(3)]
    album.build(encoder)
    async with client_of(make_app()) as client:
        body = {"text": "red", "collapse_duplicates": True}
        hits = (await client.post("/v1/search", json=body)).json()["results"]
        second = await _paths(client, **body, k=1, offset=1)
        like = await _paths(client, like=copies[0], collapse_duplicates=True)
        plain = await _paths(client, text="red")

    assert [hit["path"] for hit in hits[:2]] == ["b/red.png", "yellow.png"]
    assert hits[0]["duplicates"] == copies
    assert all(hit["duplicates"] == [] for hit in hits[1:])
    assert second == ["yellow.png"]
    assert like[0] == "yellow.png"
    assert len(plain) == 7


async def test_pages_follow_each_other(client_of, app):
    """Offset and k walk through the whole index without a gap or a repeat, and then give nothing."""
    async with client_of(app) as client:
        whole = await _paths(client, text="green", k=4)
        pages = [await _paths(client, text="green", k=1, offset=offset) for offset in range(5)]
        last = await _paths(client, text="green", k=200, offset=3)
        beyond = await _paths(client, text="green", k=200, offset=10_000)

    assert [path for page in pages for path in page] == whole
    assert (last, beyond) == (whole[3:], [])


async def test_equal_scores_are_in_the_order_of_rows_on_every_page(client_of, make_app, album, encoder):
    """Pictures of two colours, mixed, are paged through in the order of their rows within each colour."""
    for path in album.images.rglob("*.png"):
        path.unlink()
    names = {"red": [], "yellow": []}
    for number in range(150):
        colour = "red" if number % 3 == 2 else "yellow"
        names[colour].append(f"{number:03}.png")
        album.add(names[colour][-1], colour, (2, 2))
    album.build(encoder)
    in_order = names["red"] + names["yellow"]
    like = {"like": picture_id(in_order[0])}
    async with client_of(make_app()) as client:
        walked = [path for offset in range(0, 150, 7) for path in await _paths(client, text="red", k=7, offset=offset)]
        alike = [path for offset in range(0, 150, 10) for path in await _paths(client, **like, k=10, offset=offset)]

    assert walked == in_order
    assert alike == in_order[1:]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "text"),
        ({"image": "?"}, "image"),
        ({"parts": [{"text": "red", "weight": 0}]}, "weight"),
        ({"parts": [{"text": "red", "like": "0"}]}, "parts"),
        ({"parts": [{"text": "red"}, {"text": "red", "weight": -2}]}, "weight"),
        ({"text": ""}, "text"),
        ({"text": " \n\t "}, "text"),
        ({"text": "x" * 2_001}, "text"),
        ({"text": 7}, "text"),
        ({"text": "red", "k": 0}, "k"),
        ({"text": "red", "k": 201}, "k"),
        ({"text": "red", "k": "many"}, "k"),
        ({"text": "red", "offset": -1}, "offset"),
        ({"text": "red", "offset": 10_001}, "offset"),
        ({"text": "red", "colour": "blue"}, "colour"),
        ({"text": "red", "min_relevance": 1.1}, "min_relevance"),
        ({"text": "red", "min_relevance": -0.1}, "min_relevance"),
        ({"text": "red", "collapse_duplicates": "maybe"}, "collapse_duplicates"),
        ({"like": "0" * 65}, "like"),
    ],
)
async def test_bad_searches_are_named(client_of, app, body, named):
    """A query that does not fit is a 422 about the field at fault."""
    async with client_of(app) as client:
        reply = await client.post("/v1/search", json=body)

    assert reply.status_code == 422
    assert f"`{named}`" in reply.json()["detail"]


async def test_half_a_surrogate_pair_is_no_text(client_of, app):
    """Text that has no form in UTF-8 is a 422, not a broken model."""
    headers = {"Content-Type": "application/json"}
    async with client_of(app) as client:
        reply = await client.post("/v1/search", content=b'{"text": "red \\ud800"}', headers=headers)

    assert (reply.status_code, reply.json()["detail"]) == (
        422,
        "The body is not valid JSON: unexpected end of hex escape at line 1 column 21.",
    )


@pytest.mark.parametrize("like", ["0" * 16, "", "../../etc", "\x00", "'; drop table pictures", "é"])
async def test_unknown_like_is_not_found(client_of, app, like):
    """An id that no indexed picture has is a 404."""
    async with client_of(app) as client:
        reply = await client.post("/v1/search", json={"like": like})

    assert reply.status_code == 404


async def test_bad_uploads(client_of, app, picture):
    """No picture, two, a text, a cut picture and bad options each have their status."""
    good = ("a.png", picture("red"))
    async with client_of(app) as client:

        async def status(files, **data) -> int:
            return (await client.post("/v1/search/image", files=files, data=data)).status_code

        assert await status([("image", good), ("image", good)]) == 422
        assert await status([("image", ("a.txt", b"hello"))]) == 415
        assert await status([("image", ("a.png", picture("red", (300, 300))[:100]))]) == 400
        assert await status([("image", good)], k="201") == 422
        assert await status([("image", good)], colour="red") == 422
        assert (await client.post("/v1/search/image", json={"k": 1})).status_code == 422


async def test_searches_that_wait_share_a_batch(client_of, app, encoder, queue_of):
    """Texts that arrive while the model works are encoded together."""
    async with client_of(app) as client:
        encoder.hold()
        searches = [asyncio.create_task(_paths(client, text="red", k=1))]
        assert await asyncio.to_thread(encoder.held.wait, PATIENCE)
        searches += [asyncio.create_task(_paths(client, text=colour, k=1)) for colour in ("blue", "green")]
        await queue_of(client, 2)
        encoder.release()
        found = await asyncio.gather(*searches)

    assert found == [["b/red.png"], ["blue.png"], ["green.png"]]
    assert encoder.batches[-2:] == [1, 2]


async def test_batches_are_as_large_as_was_measured(client_of, app, encoder, queue_of):
    """Texts and pictures each have their own measure."""
    encoder.best = {"text": 2}
    async with client_of(app) as client:
        encoder.hold()
        searches = [asyncio.create_task(_paths(client, text="red", k=1))]
        assert await asyncio.to_thread(encoder.held.wait, PATIENCE)
        searches += [asyncio.create_task(_paths(client, text=colour, k=1)) for colour in ("blue", "green", "yellow")]
        await queue_of(client, 3)
        encoder.release()
        await asyncio.gather(*searches)

    assert encoder.batches[-3:] == [1, 2, 1]


async def test_deadline(client_of, make_app, album, encoder):
    """A search that takes too long is a 504, and the next one works."""
    album.build(encoder)
    async with client_of(make_app(deadline_s=1)) as client:
        encoder.hold()
        late = await client.post("/v1/search", json={"text": "red"})
        encoder.release()

        async def is_answered() -> bool:
            return (await client.post("/v1/search", json={"text": "red"})).status_code == 200

        await until(is_answered)

    assert late.status_code == 504


async def test_full_house_tells_when_to_come_again(client_of, make_app, album, encoder, queue_of):
    """Beyond `max_searches`, and beyond the model's queue, a search is a 429 with Retry-After."""
    album.build(encoder)
    async with client_of(make_app(max_searches=2, queue_size=1)) as client:
        encoder.hold()
        first = asyncio.create_task(client.post("/v1/search", json={"text": "red"}))
        assert await asyncio.to_thread(encoder.held.wait, PATIENCE)
        second = asyncio.create_task(client.post("/v1/search", json={"text": "red"}))
        await queue_of(client, 1)
        refused = await client.post("/v1/search", json={"text": "red"})
        second.cancel()
        encoder.release()
        answered = await first

    assert (refused.status_code, answered.status_code) == (429, 200)
    assert int(refused.headers["Retry-After"]) >= 1
