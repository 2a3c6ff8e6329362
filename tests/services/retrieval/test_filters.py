"""Filters and hybrid search through POST /v1/search, and what hits say of a picture."""

import json
from datetime import datetime

import pytest

from imagetext.index import picture_id


async def found(client, **body):
    reply = await client.post("/v1/search", json=body)
    assert reply.status_code == 200, reply.text
    return [hit["path"] for hit in reply.json()["results"]]


@pytest.fixture
def app(make_app, album, encoder):
    """Forty pictures: red and yellow ones in turns, some with captions, tags and times."""
    for path in album.images.rglob("*.png"):
        path.unlink()
    known = {}
    for number in range(40):
        path = f"{number // 10}/{number:02}.png"
        album.add(path, "yellow" if number % 2 else "red", (20, 30) if number % 5 == 0 else (30, 20))
        known[path] = {"taken": datetime(2024, 1, 1 + number // 2), "tags": ("odd",) if number % 2 else ("even",)}
    known["3/39.png"]["captions"] = ("A walrus on ice.", "Ice", "Cold", "Sea")
    known["3/38.png"]["captions"] = ("Ice cream.",)
    album.build(encoder, known=known)
    return make_app()


async def test_hits_say_what_is_known(client_of, app):
    """The time, the tags and the first captions."""
    async with client_of(app) as client:
        reply = await client.post("/v1/search", json={"text": "yellow", "filter": {"caption": "walrus"}})
    [hit] = reply.json()["results"]

    assert (hit["path"], hit["taken"], hit["tags"]) == ("3/39.png", "2024-01-20T00:00:00", ["odd"])
    assert hit["captions"] == ["A walrus on ice.", "Ice", "Cold"]
    assert list(reply.json())[-1] == "took_ms"


async def test_a_filter_narrows_every_page(client_of, app):
    """Pages of a filtered search continue one another, and end where what passes ends."""
    filter = {"tags": ["ODD"], "folder": "1", "taken": {"from": "2024-01", "to": "2024-01-08"}}
    async with client_of(app) as client:
        whole = await found(client, text="red", k=200, filter=filter)
        pages = [
            path for offset in range(5) for path in await found(client, text="red", k=1, offset=offset, filter=filter)
        ]
        nothing = await found(client, text="red", filter={"tags": ["none"]})
        beyond = await found(client, text="red", filter={"tags": ["none"]}, offset=10_000)

    assert whole == pages == ["1/11.png", "1/13.png", "1/15.png"]
    assert nothing == beyond == []


async def test_the_best_of_what_passes_come_first(client_of, app):
    """And an empty filter is none."""
    async with client_of(app) as client:
        portraits = await found(client, text="yellow", filter={"orientation": "portrait"}, k=4)
        whole = await found(client, text="yellow", k=200)
        empty = await found(client, text="yellow", k=200, filter={})

    assert portraits == ["0/05.png", "1/15.png", "2/25.png", "3/35.png"]
    assert whole == empty


async def test_like_is_filtered_too(client_of, app):
    """Without the picture itself, whether it passes or not."""
    async with client_of(app) as client:
        for own in ("0/01.png", "3/38.png"):
            paths = await found(client, like=picture_id(own), k=200, filter={"folder": "0"})
            assert sorted(paths) == [f"0/{number:02}.png" for number in range(10) if f"0/{number:02}.png" != own]


async def test_hybrid_search_also_goes_by_words(client_of, app):
    """A word that the encoder does not know is found in the captions, and comes before what the vector alone finds."""
    async with client_of(app) as client:
        plain = await found(client, text="red walrus", k=3)
        mixed = await found(client, text="red walrus", k=3, hybrid=True)
        narrowed = await found(client, text="red ice", k=3, hybrid=True, filter={"tags": ["odd"]})

    assert "3/39.png" not in plain
    assert mixed[0] == "3/39.png"
    assert narrowed[0] == "3/39.png" and "3/38.png" not in narrowed


async def test_pages_of_a_hybrid_search_continue_one_another(client_of, app):
    """Also beyond what both rankings hold; each picture comes once."""
    async with client_of(app) as client:
        whole = await found(client, text="red ice", k=200, hybrid=True)
        pages = [
            path for at in range(0, 49, 7) for path in await found(client, text="red ice", k=7, offset=at, hybrid=True)
        ]

    assert pages == whole
    assert len(set(whole)) == 40


async def test_a_form_takes_long_filters_and_texts(client_of, app, picture):
    """As long as those in JSON."""
    filter = json.dumps({"tags": ["odd"], "folder": "3", "caption": "walrus"}) + " " * 50_000
    data = {"text": "лёд" * 600, "filter": filter}
    async with client_of(app) as client:
        reply = await client.post("/v1/search/image", files={"image": picture("red")}, data=data)

    assert [hit["path"] for hit in reply.json()["results"]] == ["3/39.png"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"text": "red", "filter": {"colour": "red"}}, "filter.colour"),
        ({"text": "red", "filter": {"taken": {"from": "soon"}}}, "filter.taken.from"),
        ({"text": "red", "filter": {"caption": "?"}}, "filter.caption"),
        ({"text": "red", "filter": {"width": {"min": -1}}}, "filter.width.min"),
        ({"text": "red", "filter": "red"}, "filter"),
        ({"text": "red", "hybrid": "perhaps"}, "hybrid"),
        ({"like": "0" * 16, "hybrid": True}, "hybrid"),
    ],
)
async def test_bad_filters_are_named(client_of, app, body, named):
    """A filter that is not understood is a 422 about the field at fault."""
    async with client_of(app) as client:
        reply = await client.post("/v1/search", json=body)

    assert reply.status_code == 422
    assert f"`{named}`" in reply.json()["detail"]
