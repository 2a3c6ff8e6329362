"""The versions of the index as operators see them, and the switch between them."""

import asyncio
import fcntl
import json
import os

import pytest

from imagetext.index import EncoderRef, SkippedFile, current_version, list_versions, publish, write_version
from imagetext.index.reader import IndexReader
from imagetext.index.versions import write_progress
from tests.patience import until


@pytest.fixture
def versions(album, encoder):
    """Two versions of the encoder that is loaded; the newer is the current one."""
    album.build(encoder)
    album.add("more.png", "grey")
    album.build(encoder)
    return list_versions(album.index)


def _spoil(album, version, name="vectors.npy"):
    file = album.index / "versions" / version / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


async def _until(client, holds):
    """The list, once it is as wanted."""
    listed = {}

    async def is_wanted():
        listed.update((await client.get("/v1/index/versions")).json())
        return holds(listed)

    await until(is_wanted)
    return listed


async def _until_open(client, version):
    return await _until(client, lambda listed: listed["open"] == version)


async def test_versions_are_listed(client_of, make_app, album, versions):
    """Newest first, the current one marked, with all that was measured; nothing on the way may keep the list."""
    async with client_of(make_app()) as client:
        reply = await client.get("/v1/index/versions")
    listed = reply.json()
    newest, oldest = listed["versions"]

    assert (reply.status_code, reply.headers["Cache-Control"]) == (200, "no-store")
    assert (listed["current"], listed["previous"], listed["open"]) == (versions[1], versions[0], versions[1])
    assert listed["refusal"] is None
    assert (newest["version"], newest["current"], newest["size"], newest["error"]) == (versions[1], True, 5, None)
    assert (oldest["version"], oldest["current"], oldest["size"]) == (versions[0], False, 4)
    assert (newest["kind"], newest["recall"], newest["skipped"], newest["encoder"]) == ("flat", 1.0, 0, "colours")
    assert newest["format"] == 3 and newest["memory_bytes"] > 0 and newest["queries_per_second"] > 0


async def test_an_index_without_versions_has_an_empty_list(client_of, make_app):
    """Before the first build there is nothing to see, which is no error."""
    async with client_of(make_app()) as client:
        listed = (await client.get("/v1/index/versions")).json()
        refused = await client.post("/v1/index/rollback")

    assert listed == {"current": None, "previous": None, "open": None, "refusal": None, "versions": []}
    assert refused.status_code == 404


async def test_what_cannot_serve_says_why(client_of, make_app, album, encoder, versions):
    """A damaged version and one of another encoder stand in the list with the reason."""
    other = album.build(type(encoder)("colours-2"))
    publish(album.index, versions[1])
    (album.index / "versions" / versions[0] / "rows.sqlite").unlink()
    async with client_of(make_app()) as client:
        listed = {each["version"]: each for each in (await client.get("/v1/index/versions")).json()["versions"]}

    assert "rows.sqlite" in listed[versions[0]]["error"] and listed[versions[0]]["size"] is None
    assert "made by the encoder colours colours-2" in listed[other]["error"] and listed[other]["size"] == 5
    assert listed[versions[1]]["error"] is None


async def test_a_refused_version_is_published_but_not_open(client_of, make_app, album, versions):
    """The list tells the two apart, and gives the reason."""
    publish(album.index, versions[0])
    _spoil(album, versions[1])
    async with client_of(make_app()) as client:
        publish(album.index, versions[1])
        listed = await _until(client, lambda listed: listed["refusal"] is not None)

    assert (listed["current"], listed["open"]) == (versions[1], versions[0])
    assert "vectors.npy" in listed["refusal"]


async def test_publishing_switches(client_of, make_app, album, versions):
    """To an older version and, by a rollback, further back; the service follows at once."""
    async with client_of(make_app()) as client:
        back = await client.post("/v1/index/rollback")
        await _until_open(client, versions[0])
        forth = await client.post("/v1/index/publish", json={"version": versions[1]})
        await _until_open(client, versions[1])

    assert (back.status_code, back.json()) == (200, {"version": versions[0], "before": versions[1]})
    assert (forth.status_code, forth.json()) == (200, {"version": versions[1], "before": versions[0]})
    assert current_version(album.index) == versions[1]


async def test_every_replica_follows(client_of, make_app, versions):
    """What is published through one is soon open in the other."""
    async with client_of(make_app()) as one, client_of(make_app()) as other:
        await one.post("/v1/index/rollback")
        listed = await _until_open(other, versions[0])

    assert listed["current"] == versions[0]


async def test_what_cannot_serve_is_not_published(client_of, make_app, album, encoder, versions):
    """Damage in any byte, or another encoder: 409 with the reason, and the current version stays."""
    other = album.build(type(encoder)("colours-2"))
    publish(album.index, versions[1])
    _spoil(album, versions[0])
    async with client_of(make_app()) as client:
        damaged = await client.post("/v1/index/publish", json={"version": versions[0]})
        back = await client.post("/v1/index/rollback")
        foreign = await client.post("/v1/index/publish", json={"version": other})

    assert [reply.status_code for reply in (damaged, back, foreign)] == [409, 409, 409]
    assert "vectors.npy" in damaged.json()["detail"] and "vectors.npy" in back.json()["detail"]
    assert "not by the one that is loaded, colours-1" in foreign.json()["detail"]
    assert current_version(album.index) == versions[1]


@pytest.mark.parametrize("body", [{"version": "../../etc"}, {"version": ""}, {}, {"version": 7}, {"name": "x"}])
async def test_nonsense_is_refused(client_of, make_app, versions, body):
    """What can be no name of a version never becomes a path."""
    async with client_of(make_app()) as client:
        reply = await client.post("/v1/index/publish", json=body)

    assert reply.status_code == 422


async def test_an_unknown_version_is_not_found(client_of, make_app, versions):
    """Neither published nor shown."""
    name = "20200101T000000Z-000000"
    async with client_of(make_app()) as client:
        published = await client.post("/v1/index/publish", json={"version": name})
        skipped = await client.get(f"/v1/index/versions/{name}/skipped")

    assert (published.status_code, skipped.status_code) == (404, 404)


async def test_a_damaged_pointer_is_repaired_by_publishing(client_of, make_app, album, versions):
    """Nothing is rolled back from nowhere, but a version can be named."""
    (album.index / "CURRENT").write_text("?")
    async with client_of(make_app()) as client:
        listed = (await client.get("/v1/index/versions")).json()
        back = await client.post("/v1/index/rollback")
        forth = await client.post("/v1/index/publish", json={"version": versions[0]})

    assert (listed["current"], listed["previous"]) == (None, None)
    assert "CURRENT" in listed["refusal"]
    assert (back.status_code, forth.status_code) == (409, 200)


async def test_a_folder_that_cannot_be_written_is_said(client_of, make_app, album, versions):
    """A read-only mount gives a sentence, not a failure without one."""
    (album.index / "CURRENT").unlink()
    (album.index / "CURRENT").mkdir()  # what no process may replace, whoever runs it
    async with client_of(make_app()) as client:
        reply = await client.post("/v1/index/publish", json={"version": versions[0]})

    assert reply.status_code == 409 and "cannot be written" in reply.json()["detail"]


async def test_skipped_files_come_in_pages(client_of, make_app, album, encoder, versions):
    """Each with its reason, also names that are no Unicode; a damaged list is not shown."""
    reader = IndexReader.open(album.index / "versions" / versions[1])
    rows, vectors = reader.rows(), encoder.encode_texts(["red"] * 5)
    reader.close()
    skipped = [SkippedFile(f"bad\udcff{number}.png", "The file is empty.") for number in range(5)]
    by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    version = write_version(album.index, rows, vectors, encoder=by, images_root=album.images, skipped=skipped)
    address = f"/v1/index/versions/{version}/skipped"
    async with client_of(make_app()) as client:
        page = (await client.get(address, params={"offset": 1, "limit": 2})).json()
        whole = (await client.get(address)).json()
        refused = [await client.get(address, params=bad) for bad in ({"limit": 0}, {"offset": -1}, {"limit": 9999})]
        _spoil(album, version, "skipped.jsonl")
        damaged = await client.get(address)

    assert page == {
        "version": version,
        "total": 5,
        "offset": 1,
        "skipped": [{"path": f"bad\ufffd{number}.png", "reason": "The file is empty."} for number in (1, 2)],
    }
    assert len(whole["skipped"]) == 5
    assert [reply.status_code for reply in refused] == [422, 422, 422]
    assert damaged.status_code == 500 and "skipped.jsonl" in damaged.json()["detail"]


async def test_a_running_build_is_seen(client_of, make_app, album, progress):
    """As long as its process holds the lock; afterwards it is one that stopped."""
    async with client_of(make_app()) as client:
        nothing = (await client.get("/v1/index/build")).json()
        with (album.index / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_progress(album.index, progress)
            running = (await client.get("/v1/index/build")).json()
        stopped = (await client.get("/v1/index/build")).json()

    assert nothing == {"running": None, "stopped": None}
    assert running["stopped"] is None and running["running"] == json.loads(progress.model_dump_json())
    assert stopped["running"] is None
    assert (stopped["stopped"]["done"], stopped["stopped"]["eta_s"]) == (progress.done, None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "resting"}'])
async def test_a_progress_file_that_is_nonsense_is_none(client_of, make_app, album, content):
    """It may be of another release, or cut off."""
    (album.index / "build.json").write_text(content)
    async with client_of(make_app()) as client:
        reply = await client.get("/v1/index/build")

    assert (reply.status_code, reply.json()) == (200, {"running": None, "stopped": None})


def opened(fifo, writers):
    """Whether somebody reads there; then it is opened for the writers, too."""
    try:
        writers.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


async def test_two_do_not_publish_at_once(client_of, make_app, album, versions):
    """The second is told to come again while the first is verified."""
    file = album.index / "versions" / versions[0] / "skipped.jsonl"
    file.unlink()
    writers = []
    os.mkfifo(file)  # of no bytes, as the manifest says; reading it waits for a writer
    async with client_of(make_app()) as client:
        first = asyncio.create_task(client.post("/v1/index/publish", json={"version": versions[0]}))
        await until(lambda: opened(file, writers))
        second = await client.post("/v1/index/publish", json={"version": versions[1]})
        os.close(*writers)
        await first

    assert (second.status_code, "Retry-After" in second.headers) == (429, True)
