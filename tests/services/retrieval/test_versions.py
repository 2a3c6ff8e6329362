"""Index versions as they are published, rolled back and broken while the service answers."""

import asyncio
import os
import shutil
from pathlib import Path

from imagetext.index import publish
from tests.patience import until
from tests.services.retrieval.following import metric, serves


async def _version(client) -> str | None:
    reply = await client.get("/v1/index")
    return reply.json()["version"] if reply.status_code == 200 else None


async def test_index_is_described(client_of, app, album, encoder):
    """GET /v1/index tells the version, its size and its encoder, and what was measured when it was built."""
    async with client_of(app) as client:
        info = (await client.get("/v1/index")).json()

    assert info.pop("created") is not None
    assert info.pop("queries_per_second") == info.pop("exact_queries_per_second") > 0
    assert info.pop("memory_bytes") > 0
    assert info == {
        "version": (album.index / "CURRENT").read_text().strip(),
        "size": 4,
        "kind": "flat",
        "encoder": "colours",
        "fingerprint": "colours-1",
        "skipped": 0,
        "added": 0,
        "removed": 0,
        "recall": 1.0,
    }


async def test_first_version_is_picked_up(client_of, make_app, album, encoder):
    """Without an index the service is not ready and says how to build one; when there is one it is."""
    async with client_of(make_app()) as client:
        ready = await client.get("/health/ready")
        replies = [await client.post("/v1/search", json={"text": "red"}), await client.get("/v1/index")]
        replies += [await client.get("/v1/images/0123"), await client.get("/v1/images/0123/thumbnail")]
        version = album.build(encoder)
        await until(serves(client, version))
        ready_now = await client.get("/health/ready")

    assert ready.status_code == 503
    assert f"python -m indexer build --images FOLDER --index {album.index}" in ready.json()["parts"]["index"]
    assert [(reply.status_code, "Retry-After" in reply.headers) for reply in replies] == [(503, True)] * 4
    assert ready_now.status_code == 200


async def test_swap_fails_no_request(client_of, app, album, encoder):
    """While versions come and go, every search is answered by one of them, whole."""
    answers: list[tuple[int, str, int, int]] = []
    versions = {(album.index / "CURRENT").read_text().strip(): 4}
    async with client_of(app) as client:
        stopped = False

        async def search() -> None:
            while not stopped:
                reply = await client.post("/v1/search", json={"text": "red", "k": 200})
                body = reply.json()
                index = body["index"]
                answers.append((reply.status_code, index["version"], index["size"], len(body["results"])))

        async def until_answered_by(version: str) -> None:
            await until(lambda: any(version in answer for answer in answers))

        searches = [asyncio.create_task(search()) for _ in range(3)]
        await until_answered_by(next(iter(versions)))
        for number in range(4):
            album.add(f"new{number}.png", "grey")
            version = await asyncio.to_thread(album.build, encoder)
            versions[version] = 5 + number
            await until_answered_by(version)
        stopped = True
        await asyncio.gather(*searches)

    assert {status for status, *_ in answers} == {200}
    assert all(versions[version] == size == hits for _, version, size, hits in answers)


async def test_rollback(client_of, app, album, encoder):
    """Publishing an older version brings it back."""
    old = (album.index / "CURRENT").read_text().strip()
    async with client_of(app) as client:
        album.add("more.png", "grey")
        await until(serves(client, album.build(encoder)))
        publish(album.index, old)
        await until(serves(client, old))


async def test_version_of_another_encoder_is_refused(client_of, app, album, encoder, caplog):
    """A version that another model made stays closed: the open one answers, the log and the metrics tell."""
    old = (album.index / "CURRENT").read_text().strip()
    async with client_of(app) as client:
        album.build(type(encoder)("colours-2"))
        await until(metric(client, "index_refused 1.0"))
        during = await client.post("/v1/search", json={"text": "red"})
        ready = await client.get("/health/ready")
        publish(album.index, old)
        await until(metric(client, "index_refused 0.0"))

    assert (during.status_code, during.json()["index"]["version"], ready.status_code) == (200, old, 200)
    assert "colours-2" in caplog.text


async def test_damaged_version_is_refused(client_of, app, album, encoder, caplog):
    """A version with one changed byte stays closed, is said once in the log, and the open one answers."""
    old = (album.index / "CURRENT").read_text().strip()
    async with client_of(app) as client:
        album.add("more.png", "grey")
        new = album.write(encoder)
        _change_a_byte(album.index / "versions" / new / "vectors.npy")
        publish(album.index, new)
        await until(metric(client, "index_refused 1.0"))
        await asyncio.sleep(0.1)

        assert await _version(client) == old
    assert caplog.text.count("vectors.npy") == 1


def _change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


async def test_only_version_is_damaged(client_of, make_app, album, encoder):
    """With nothing else to search, the service is not ready and says what is wrong."""
    version = album.build(encoder)
    _change_a_byte(album.index / "versions" / version / "vectors.npy")
    async with client_of(make_app()) as client:
        ready = await client.get("/health/ready")

    assert ready.status_code == 503
    assert "vectors.npy" in ready.json()["parts"]["index"]


async def test_pointer_that_is_nonsense(client_of, app, album, caplog):
    """A damaged or vanished CURRENT changes nothing for those who search, and is said once in the log."""
    old = (album.index / "CURRENT").read_text().strip()
    async with client_of(app) as client:
        (album.index / "CURRENT").write_text("../../etc")
        await until(metric(client, "index_refused 1.0"))
        nonsense = await _version(client)
        await asyncio.sleep(0.1)
        (album.index / "CURRENT").unlink()
        await asyncio.sleep(0.05)
        vanished = await _version(client)

    assert (nonsense, vanished) == (old, old)
    assert caplog.text.count("CURRENT of the index is damaged") == 1


async def test_old_version_closes_after_its_last_request(client_of, app, album, encoder):
    """A swap leaves no file of the old version open, so that it can be removed."""
    old = (album.index / "CURRENT").read_text().strip()
    async with client_of(app) as client:
        album.add("more.png", "grey")
        new = album.build(encoder)
        await until(serves(client, new))
        await until(lambda: not any(old in file for file in _open_files()))

        assert any(new in file for file in _open_files())


def _open_files() -> list[str]:
    folder = "/proc/self/fd"
    return [os.readlink(f"{folder}/{each}") for each in os.listdir(folder) if os.path.islink(f"{folder}/{each}")]


async def test_removed_folder_does_not_stop_the_searches(client_of, app, album):
    """The open version answers on when its folder is removed."""
    async with client_of(app) as client:
        shutil.rmtree(album.index)
        await asyncio.sleep(0.05)
        reply = await client.post("/v1/search", json={"text": "red"})

    assert (reply.status_code, len(reply.json()["results"])) == (200, 4)
