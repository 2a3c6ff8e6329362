"""The service searches an index that Milvus holds; Milvus Lite, as a server of its own, stands in for a cluster."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagetext.index import version_folder
from imagetext.index.remote.location import MilvusAddress
from imagetext.index.remote.milvus_rows import MilvusConnection
from imagetext.index.remote.milvus_store import MilvusStore, load
from tests.patience import until, wait_until
from tests.services.retrieval.conftest import ColourEncoder
from tests.services.retrieval.following import metric, ready, serves

pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'imagetext[milvus]'")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: pip install 'imagetext[milvus]'")


class Server:
    """A Milvus Lite process, which can go away and come back with what it held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--data-dir", str(self._folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite", "server", *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens, lambda: "Milvus Lite does not start")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("milvus") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def address(server, request) -> MilvusAddress:
    return MilvusAddress(f"http://127.0.0.1:{server.port}", request.node.name)


@pytest.fixture
def store(address) -> MilvusStore:
    return MilvusStore(MilvusConnection(address))


@pytest.fixture
def send(album, encoder, store):
    """send(encoder) builds a version of the album, pushes it and publishes it."""

    def push(encoder=encoder) -> str:
        version = album.build(encoder)
        load(store, version_folder(album.index, version))
        store.publish(version)
        return version

    return push


async def test_answers_are_those_of_the_files(client_of, make_app, address, send, album, picture):
    """Words, a picture, more like one, pages, and the pictures themselves."""
    album.add("another-red.png", "red")
    send()
    answers = []
    for index in (album.index, address):
        async with client_of(make_app(index=index)) as client:
            replies = [
                await client.post("/v1/search", json={"text": "red"}),
                await client.post("/v1/search", json={"text": "yellow green", "k": 2, "offset": 1}),
                await client.post("/v1/search", json={"text": "blue", "k": 3, "offset": 3}),
                await client.post("/v1/search", json={"like": album.add("b/red.png", "red"), "k": 3}),
                await client.post("/v1/search", json={"like": "0123"}),
                await client.post("/v1/search/image", files={"image": picture("green")}),
            ]
            shown = await client.get(f"/v1/images/{album.add('blue.png', 'blue')}")
            answers.append([reply.json() for reply in replies] + [shown.content])
            kind = (await client.get("/v1/index")).json()["kind"]

    files, milvus = answers
    scores = [[hit.pop("score") for hit in reply.get("results", [])] for reply in files[:-1]]
    found = [[hit.pop("score") for hit in reply.get("results", [])] for reply in milvus[:-1]]
    for reply in [*files[:-1], *milvus[:-1]]:
        for hit in reply.get("results", []):
            del hit["relevance"]
        for name in ("took_ms", "request_id"):
            reply.pop(name, None)
    assert kind == "milvus-flat"
    assert files == milvus
    assert [len(reply) for reply in scores] == [5, 2, 2, 3, 0, 5]
    for mine, theirs in zip(found, scores, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


async def test_alias_is_followed(client_of, make_app, address, send, store, album):
    """First nothing, then each version that is published, and back."""
    async with client_of(make_app(index=address)) as client:
        missing = (await client.get("/health/ready")).text
        first = send()
        await until(serves(client, first))
        album.add("more.png", "grey")
        second = send()
        await until(serves(client, second))
        size = (await client.post("/v1/search", json={"text": "grey"})).json()["index"]["size"]
        store.publish(first)
        await until(serves(client, first))
        dropped = store.prune(1)

    assert f"--to {address}" in missing
    assert (size, dropped) == (5, [])


async def test_version_of_another_encoder_is_refused(client_of, make_app, address, send):
    """The reason is told; the open version stays."""
    first = send()
    async with client_of(make_app(index=address)) as client:
        send(ColourEncoder("colours-2"))
        await until(metric(client, "index_refused 1.0"))
        version = (await client.post("/v1/search", json={"text": "red"})).json()["index"]["version"]

    assert version == first


async def test_milvus_may_go_away(client_of, make_app, address, send, server):
    """Searches are 503 with a time to come back, and say nothing of what failed; when it is back they are answered."""
    version = send()
    async with client_of(make_app(index=address)) as client:
        server.stop()
        reply = await client.post("/v1/search", json={"text": "red"})
        await until(ready(client, 503))
        told = (await client.get("/health/ready")).text
        live = (await client.get("/health/live")).status_code
        server.start()
        await until(ready(client, 200))
        await until(serves(client, version))
        again = await client.post("/v1/search", json={"text": "red", "k": 1})

    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
    assert reply.json()["detail"] == "The Milvus of this index cannot be reached."
    assert "cannot be reached" in told
    assert str(server.port) not in reply.text + told
    assert live == 200
    assert (again.status_code, again.json()["results"][0]["path"]) == (200, "b/red.png")


async def test_what_milvus_does_not_hold_is_refused(client_of, make_app, address, send, picture):
    """Words and metadata are 422 with the fields to leave out; relevance and duplicates need neither."""
    send()
    async with client_of(make_app(index=address)) as client:

        async def search(**options):
            return await client.post("/v1/search", json={"text": "red", **options})

        refused = [await search(filter={"folder": "b"}), await search(hybrid=True)]
        found = [
            await search(filter={"taken": {}, "tags": []}),
            await search(collapse_duplicates=True, min_relevance=0.8),
        ]
        changes = await client.post("/v1/images", files={"image": picture("red")})

    assert [reply.status_code for reply in refused] == [422, 422]
    assert all("omit `filter` and `hybrid`" in reply.json()["detail"] for reply in refused)
    assert [len(reply.json()["results"]) for reply in found] == [4, 2]
    assert changes.status_code == 404
