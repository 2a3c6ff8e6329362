"""The same build from a bucket of a real S3 server on this machine."""

import pytest

from indexer.build import build
from indexer.sources import open_source
from tests.indexer.conftest import content_of
from tests.indexer.sources.conftest import png, write_tar

boto3 = pytest.importorskip("boto3", reason="needs an S3 client: pip install s3fs boto3 'moto[server]'")
server = pytest.importorskip("moto.server", reason="needs an S3 server: pip install s3fs boto3 'moto[server]'")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs boto3 'moto[server]'")


@pytest.fixture
def put(monkeypatch):
    """put(key, content) stores an object in the bucket `album`; the environment leads s3fs to the server."""
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # or it would keep the environment of an earlier test
    client = boto3.client("s3")
    client.create_bucket(Bucket="album")
    yield lambda key, content: client.put_object(Bucket="album", Key=key, Body=content)
    running.stop()


def test_a_bucket_is_indexed_like_a_folder(put, tmp_path, index, encoder):
    """Pictures one by one, and in a tar file; the second build encodes and publishes nothing."""
    for seed in range(5):
        put(f"trip/{seed}.png", png(seed))
    write_tar(tmp_path / "0.tar", {f"{seed}.png": png(seed) for seed in range(5)})
    put("shards/0.tar", (tmp_path / "0.tar").read_bytes())
    first = build(open_source("s3://album/trip"), index, encoder)
    second = build(open_source("s3://album/trip"), index, encoder)
    shards = build(open_source("s3://album/shards/*.tar"), index.with_name("shards"), encoder)

    assert (first.size, first.encoded, second.changed, shards.size) == (5, 5, False, 5)
    assert open_source("s3://album/trip").address == "s3://album/trip"
    assert sorted(content_of(index).values()) == sorted(content_of(index.with_name("shards")).values())
