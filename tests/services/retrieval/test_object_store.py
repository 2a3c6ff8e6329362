"""The service follows an index in an S3-compatible store, a real server in this process."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from imagetext.index import current_version, list_versions, verify, version_folder
from imagetext.index.remote.location import StoreAddress, folder_name
from imagetext.index.remote.object_store import ObjectStore, push
from imagetext.wire.errors import IndexVersionError, Unavailable
from services.retrieval.version_sources import StoreSource
from tests.patience import PATIENCE, until
from tests.services.retrieval.conftest import ColourEncoder
from tests.services.retrieval.following import metric, serves

moto_server = pytest.importorskip("moto.server", reason="needs moto, flask and s3fs: pip install 'imagetext[dev]'")
pytest.importorskip("s3fs", reason="needs s3fs: pip install 'imagetext[s3]'")


class Server:
    """An S3 server, which can go away and come back with what it held."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._server = None

    def start(self) -> None:
        if self._server is None:
            self._server = moto_server.ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
            self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


class Bucket:
    """One of the server's, with an index in it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.address = StoreAddress(f"s3://{name}/index")
        self.store = ObjectStore(self.address)
        httpx.put(f"http://127.0.0.1:{server.port}/{name}", timeout=PATIENCE).raise_for_status()

    def push(self, index: Path, version: str) -> None:
        push(index, version, verify(version_folder(index, version)), self.store)
        self.store.publish(version)

    def change(self, version: str, name: str, by: int = 1) -> None:
        """Flips a bit of an object's last byte."""
        path = self.store._path(version, name)
        content = self.store._files.cat_file(path)
        self.store._files.pipe_file(path, content[:-1] + bytes([content[-1] ^ by]))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch, request) -> Bucket:
    secrets = {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}
    for name, value in (secrets | {"ENDPOINT_URL": f"http://127.0.0.1:{server.port}"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server.start()
    return Bucket(server, request.node.name.replace("_", "-"))


@pytest.fixture
def cache(tmp_path, bucket) -> Path:
    """Where the service keeps the copies of the bucket's versions."""
    return tmp_path / folder_name(bucket.address)


@pytest.fixture
def follower(make_app, bucket, cache):
    """The service on the store, which keeps two copies."""
    return lambda: make_app(index=bucket.address, index_cache=cache.parent, index_keep=2)


async def test_published_versions_are_followed(client_of, follower, bucket, album, encoder, cache):
    """An empty store is said to be empty; each version that is published is copied and searched; two copies stay."""
    async with client_of(follower()) as client:
        ready = (await client.get("/health/ready")).text
        versions = []
        for colour in ("grey", "red", "green"):
            album.add(f"more-{colour}.png", colour)
            versions.append(album.build(encoder))
            bucket.push(album.index, versions[-1])
            await until(serves(client, versions[-1]))
        found = (await client.post("/v1/search", json={"text": "grey", "k": 1})).json()
        bucket.push(album.index, versions[0])
        await until(serves(client, versions[0]))

    assert f"no index in {bucket.address} yet" in ready
    assert found["index"] == {"version": versions[2], "size": 7}
    assert found["results"][0]["path"] == "more-grey.png"
    assert list_versions(cache) == versions
    assert current_version(cache) == versions[0]


async def test_damaged_version_is_refused(client_of, follower, bucket, album, encoder):
    """The reason is logged and the old version serves, until a whole one is there."""
    async with client_of(follower()) as client:
        first = album.build(encoder)
        bucket.push(album.index, first)
        await until(serves(client, first))
        album.add("more.png", "grey")
        second = album.build(encoder)
        push(album.index, second, verify(version_folder(album.index, second)), bucket.store)
        bucket.change(second, "vectors.npy")
        bucket.store.publish(second)
        await until(metric(client, "index_refused 1.0"))
        reply = (await client.post("/v1/search", json={"text": "red"})).json()
        third = album.build(encoder)
        bucket.push(album.index, third)
        await until(serves(client, third))
        await until(metric(client, "index_refused 0.0"))

    assert reply["index"]["version"] == first


async def test_store_may_be_away(client_of, follower, bucket, album, encoder):
    """What is open serves on, also over a new start, and the store is followed again when it is back."""
    first = album.build(encoder)
    bucket.push(album.index, first)
    async with client_of(follower()) as client:
        await until(serves(client, first))
        bucket.server.stop()
        await until(metric(client, "index_away 1.0"))
        replies = [await client.post("/v1/search", json={"text": "red", "k": 1})]
    async with client_of(follower()) as client:
        replies += [await client.post("/v1/search", json={"text": "red", "k": 1}), await client.get("/health/ready")]
        album.add("more.png", "grey")
        second = album.build(encoder)
        bucket.server.start()
        bucket.push(album.index, second)
        await until(serves(client, second))
        await until(metric(client, "index_away 0.0"))

    assert [reply.status_code for reply in replies] == [200, 200, 200]


async def test_without_store_or_copy_the_service_is_not_ready(client_of, follower, bucket):
    """It says that the store cannot be reached, and nothing of why it cannot."""
    bucket.server.stop()
    async with client_of(follower()) as client:
        await until(metric(client, "index_away 1.0"))
        ready = await client.get("/health/ready")
        search = await client.post("/v1/search", json={"text": "red"})

    assert (ready.status_code, search.status_code) == (503, 503)
    assert f"{bucket.address} cannot be reached" in ready.text
    assert "127.0.0.1" not in ready.text
    assert "Retry-After" in search.headers


def test_damaged_copy_is_fetched_again(bucket, album, encoder, cache):
    """A flipped bit on the local disk costs one more copy."""
    version = album.build(encoder)
    bucket.push(album.index, version)
    source = StoreSource(bucket.store, cache, keep=1)
    source.open(version, encoder.fingerprint).close()
    file = version_folder(cache, version) / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    again = StoreSource(bucket.store, cache, keep=1)
    first_look = again.current()
    again.open(version, encoder.fingerprint).close()

    assert first_look == version
    assert verify(version_folder(cache, version)).version == version


def test_version_of_another_encoder_is_not_fetched(bucket, album, cache):
    """Its manifest tells; the copy that serves stays the one to start with."""
    mine = album.build(ColourEncoder())
    bucket.push(album.index, mine)
    source = StoreSource(bucket.store, cache, keep=3)
    source.open(mine, "colours-1").close()
    other = album.build(ColourEncoder("colours-2"))
    bucket.push(album.index, other)
    with pytest.raises(IndexVersionError, match="colours-2"):
        source.open(other, "colours-1")

    assert source.current() == mine  # a start
    assert source.current() == other
    assert list_versions(cache) == [mine]
    assert not list((cache / ".fetching").glob("*/vectors.npy"))


def test_misspelt_bucket_is_not_made(bucket, tmp_path):
    """It is said to be missing."""
    store = ObjectStore(StoreAddress("s3://no-such-bucket/index"))
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(Unavailable, match="does not exist"):
        store.write(tmp_path / "file", "20200101T000000Z-000000", "vectors.npy")

    assert store.current() is None


def test_refused_credentials(bucket, monkeypatch, tmp_path):
    """Say that it is they."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    for name in ("SHARED_CREDENTIALS_FILE", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Unavailable, match="check the credentials"):
        ObjectStore(StoreAddress(bucket.address.url + "/other")).current()
