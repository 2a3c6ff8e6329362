"""Pictures that come and go through the API: found from the reply on, and by every replica."""

import asyncio
import json
from datetime import datetime

import pytest

from imagetext.index import picture_id, publish
from imagetext.index.changes.journal import JournalReader
from imagetext.index.changes.records import Addition
from imagetext.wire.index import MAX_PICTURE_CAPTIONS, MAX_PICTURE_TAGS
from tests.patience import until
from tests.services.retrieval.conftest import ColourEncoder
from tests.services.retrieval.following import serves


async def add(client, *pictures, **fields):
    files = [("image", ("p", picture)) for picture in pictures]
    return await client.post("/v1/images", files=files, data=fields)


async def paths(client, text, k=20):
    reply = await client.post("/v1/search", json={"text": text, "k": k})
    assert reply.status_code == 200, reply.text
    assert reply.headers["X-Index-Version"] == reply.json()["index"]["version"]
    return [hit["path"] for hit in reply.json()["results"]]


async def test_an_added_picture_is_found_shown_and_described(app, client_of, picture):
    """At once, under its path, with file and thumbnail; the version says that the index has changed."""
    content = picture("grey", (50, 20))
    async with client_of(app) as client:
        before = (await client.get("/v1/index")).json()
        assert "+" not in before["version"]
        reply = await add(
            client, content, path="trip/grey ü.png", metadata='{"captions": ["All grey."], "tags": ["a"]}'
        )
        (result,) = reply.json()["results"]
        after = (await client.get("/v1/index")).json()
        assert reply.status_code == 200
        assert (await paths(client, "grey"))[0] == "trip/grey ü.png"
        shown = await client.get(result["url"])
        small = await client.get(result["thumbnail_url"])
        like = await client.post("/v1/search", json={"like": result["id"]})
        tagged = await client.post("/v1/search", json={"text": "blue", "filter": {"tags": ["a"]}})

    assert reply.headers["X-Index-Version"] == reply.json()["index"]["version"] == f"{before['version']}+1"
    assert result == {
        "id": picture_id("trip/grey ü.png"),
        "path": "trip/grey ü.png",
        "url": f"/v1/images/{result['id']}",
        "thumbnail_url": f"/v1/images/{result['id']}/thumbnail",
        "width": 50,
        "height": 20,
        "replaced": False,
    }
    assert (after["size"], after["added"], after["removed"]) == (before["size"] + 1, 1, 0)
    (hit,) = tagged.json()["results"]
    assert (hit["path"], hit["captions"]) == ("trip/grey ü.png", ["All grey."])
    assert shown.content == content and shown.headers["Content-Type"] == "image/png"
    assert small.headers["Content-Type"] == "image/jpeg"
    assert len(like.json()["results"]) == before["size"]


async def test_each_picture_has_its_result_or_problem_in_its_place(app, client_of, picture):
    """One that fails costs the others nothing; its problem names the request."""
    metadata = [{"path": "one.png"}, None, {"path": "../x"}, {"path": "two.png", "colour": 1}, {"path": "last.png"}]
    async with client_of(app) as client:
        pictures = [picture("red"), b"no picture", picture("red"), picture("red"), picture("blue")]
        reply = await add(client, *pictures, metadata=json.dumps(metadata))
        results = reply.json()["results"]
        found = await paths(client, "red blue")

    assert reply.status_code == 200
    assert [result.get("path") for result in results] == ["one.png", None, None, None, "last.png"]
    assert [result["error"]["status"] for result in results if "error" in result] == [415, 422, 422]
    assert "`colour`" in results[3]["error"]["detail"]
    assert {"one.png", "last.png"} < set(found) and "two.png" not in found


@pytest.mark.parametrize(("field", "most"), [("captions", MAX_PICTURE_CAPTIONS), ("tags", MAX_PICTURE_TAGS)])
async def test_what_is_said_of_a_picture_is_kept_or_refused(app, client_of, picture, field, most):
    """As much as an index keeps, and not silently less."""
    said = [str(number) for number in range(most)]
    async with client_of(app) as client:
        await add(client, picture("grey"), path="grey.png", metadata=json.dumps({field: said}))
        kept = await client.post("/v1/search", json={"text": "grey", "k": 1})
        more = await add(client, picture("grey"), metadata=json.dumps({field: [*said, "more"]}))

    assert kept.json()["results"][0][field] == (said if field == "tags" else said[:3])
    assert more.status_code == 422 and f"`{field}`" in more.json()["detail"]


async def test_a_picture_without_a_path_is_named_by_its_content(app, client_of, picture):
    """So sending it twice adds it once."""
    async with client_of(app) as client:
        first = (await add(client, picture("grey"))).json()
        second = (await add(client, picture("grey"))).json()

    assert first["results"][0]["path"].startswith("added/") and first["results"][0]["path"].endswith(".png")
    assert first["results"][0]["id"] == second["results"][0]["id"]
    assert (first["results"][0]["replaced"], second["results"][0]["replaced"]) == (False, True)
    assert first["index"]["size"] == second["index"]["size"]


async def test_a_replaced_picture_shows_the_new_one_alone(app, client_of, picture):
    """Whether it was indexed from the folder or added; its id stays and its file is the new one."""
    async with client_of(app) as client:
        for colour in ("yellow", "grey"):
            (result,) = (await add(client, picture(colour), path="blue.png")).json()["results"]
            assert result["replaced"] and result["id"] == picture_id("blue.png")
            assert (await paths(client, colour))[0] == "blue.png" or colour == "yellow"
            assert (await client.get(result["url"])).content == picture(colour)
            assert (await paths(client, "blue")).count("blue.png") == 1
        filtered = await client.post("/v1/search", json={"text": "grey", "filter": {"width": {"min": 1}}})
        assert (await client.get("/v1/index")).json()["size"] == len(filtered.json()["results"]) == 4


async def test_a_deleted_picture_is_gone_at_once(app, client_of, picture):
    """From searches, from its address, and for `like`; a second time it is not found."""
    id = picture_id("b/red.png")
    async with client_of(app) as client:
        assert (await paths(client, "red"))[0] == "b/red.png"
        reply = await client.delete(f"/v1/images/{id}")
        assert (reply.status_code, reply.json()["id"], reply.json()["index"]["size"]) == (200, id, 3)
        assert "b/red.png" not in await paths(client, "red")
        assert (await client.get(f"/v1/images/{id}")).status_code == 404
        assert (await client.post("/v1/search", json={"like": id})).status_code == 404
        assert (await client.delete(f"/v1/images/{id}")).status_code == 404
        assert (await client.delete("/v1/images/nonsense")).status_code == 404


async def test_replicas_show_the_same_at_once(make_app, album, encoder, client_of, picture):
    """What one has acknowledged the other finds in its next answer, and they never acknowledge different states."""
    album.build(encoder)
    async with client_of(make_app(poll_s=60)) as one, client_of(make_app(poll_s=60)) as other:
        for number in range(5):
            writer, reader = (one, other) if number % 2 else (other, one)
            (result,) = (await add(writer, picture("grey"), path=f"{number}.png")).json()["results"]
            assert f"{number}.png" in await paths(reader, "grey")
            assert (await reader.get(result["url"])).status_code == 200
        await other.delete(f"/v1/images/{picture_id('0.png')}")
        assert "0.png" not in await paths(one, "grey")
        assert (await one.get("/v1/index")).json() == (await other.get("/v1/index")).json()


async def test_concurrent_changes_all_count(make_app, album, encoder, client_of, picture, tmp_path):
    """Many at once, over two replicas: each is acknowledged, has its own position, and is found."""
    album.build(encoder)
    async with client_of(make_app()) as one, client_of(make_app()) as other:
        calls = [add((one, other)[n % 2], picture("grey"), picture("red"), metadata=named(n)) for n in range(12)]
        replies = await asyncio.gather(*calls)
        found = await paths(one, "grey red", 100)

    assert [reply.status_code for reply in replies] == [200] * 12
    assert len(found) == 4 + 24
    positions = [record.position for record in JournalReader(album.index, 0).read()]
    assert positions == list(range(1, 25))


def named(number):
    return json.dumps([{"path": f"{number}-{part}.png"} for part in "ab"])


async def test_changes_outlive_the_service(make_app, album, encoder, client_of, picture):
    """A new process begins with all that was acknowledged, metadata included."""
    album.build(encoder)
    async with client_of(make_app()) as client:
        await add(client, picture("grey"), path="new.png", metadata='{"tags": ["x"], "taken": "2020-05-01T10:00:00"}')
        await client.delete(f"/v1/images/{picture_id('blue.png')}")
    async with client_of(make_app()) as client:
        found = await paths(client, "grey")
    first, second = (record.change for record in JournalReader(album.index, 0).read())

    assert "new.png" in found and "blue.png" not in found
    assert isinstance(first, Addition)
    assert (first.picture.tags, first.picture.taken) == (("x",), datetime(2020, 5, 1, 10))
    assert second.over.sha256


async def test_an_older_version_shows_the_changes_too(make_app, album, encoder, client_of, picture):
    """A rollback takes back what was built, not what was said since."""
    first = album.build(encoder)
    album.add("grey.png", "grey")
    album.build(encoder)
    async with client_of(make_app()) as client:
        await add(client, picture("red"), path="new.png")
        publish(album.index, first)
        await until(serves(client, f"{first}+1"))
        found = await paths(client, "grey")
        version = (await client.get("/v1/index")).json()["version"]

    assert "new.png" in found
    assert version == f"{first}+1"


async def test_a_full_index_says_what_to_do(make_app, album, encoder, client_of, picture):
    """Deleting still works."""
    album.build(encoder)
    async with client_of(make_app(max_additions=2)) as client:
        assert (await add(client, picture("red"), picture("blue"))).status_code == 200
        refused = await add(client, picture("grey"))
        deleted = await client.delete(f"/v1/images/{picture_id('blue.png')}")

    assert refused.status_code == 507 and "python -m indexer build" in refused.json()["detail"]
    assert deleted.status_code == 200


async def test_a_folder_that_cannot_be_written_is_a_problem(app, album, client_of, picture):
    """And searches go on."""
    (album.index / "added").write_text("in the way")
    (album.index / "journal" / ".lock").mkdir(parents=True)
    async with client_of(app) as client:
        added = await add(client, picture("red"))
        deleted = await client.delete(f"/v1/images/{picture_id('blue.png')}")
        found = await paths(client, "blue")

    assert (added.status_code, deleted.status_code) == (503, 503)
    assert "blue.png" in found


async def test_without_an_index_nothing_can_be_added(make_app, client_of, picture):
    """As for a search."""
    async with client_of(make_app()) as client:
        assert (await add(client, picture("red"))).status_code == 503


async def test_pictures_of_another_encoder_wait_for_the_next_build(make_app, album, encoder, client_of, picture):
    """They are not compared with the others, and nothing fails."""
    album.build(encoder)
    async with client_of(make_app()) as client:
        await add(client, picture("grey"), path="new.png")
    encoder.fingerprint = "colours-2"
    album.build(encoder)
    async with client_of(make_app()) as client:
        assert "new.png" not in await paths(client, "grey")


class NoNumbers(ColourEncoder):
    def _encode(self, colours):
        return super()._encode(colours) * float("nan")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"metadata": "{"}, 422),
        ({"metadata": "[]"}, 422),
        ({"metadata": "[" * 100_000}, 422),
        ({"metadata": '"text"'}, 422),
        ({"metadata": '{"tags": "x"}'}, 422),
        ({"path": "/etc/passwd"}, 422),
        ({"path": "a//b"}, 422),
        ({"path": "a/../b"}, 422),
        ({"path": "a\\b"}, 422),
        ({"path": "a\nb"}, 422),
        ({"path": "x" * 1_001}, 422),
        ({"metadata": '{"path": "\\ud800"}'}, 422),
        ({"colour": "red"}, 422),
        ({"metadata": " " * 200_001}, 422),
    ],
)
async def test_wrong_fields_are_refused(app, album, client_of, picture, fields, status):
    """With a sentence, and nothing is written."""
    async with client_of(app) as client:
        reply = await add(client, picture("red"), **fields)

    assert reply.status_code == status, reply.text
    assert not (album.index / "journal").exists()


async def test_the_only_picture_that_fails_is_the_answer(app, client_of):
    """As with captions."""
    async with client_of(app) as client:
        reply = await add(client, b"no picture")
        documented = (await client.get("/openapi.json")).json()["paths"]

    assert reply.status_code == 415
    assert {"post"} <= set(documented["/v1/images"]) and "delete" in documented["/v1/images/{id}"]


async def test_numbers_that_are_none_are_not_stored(album, client_of, picture):
    """A picture that the encoder fails on has a problem."""
    album.build(ColourEncoder())
    from services.retrieval.app import create_app
    from services.retrieval.settings import Settings

    app = create_app(Settings(index=album.index, poll_s=0.01), load=lambda source: NoNumbers())
    async with client_of(app) as client:
        assert (await add(client, picture("red"))).status_code == 400
