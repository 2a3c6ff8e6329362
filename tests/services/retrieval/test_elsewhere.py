"""An index that lies in an object store: searched as one in a folder, changed by the indexer alone."""

from pathlib import Path

import pytest

from imagetext.index import picture_id, verify, version_folder
from imagetext.index.remote.location import StoreAddress
from imagetext.index.remote.object_store import ObjectStore, push
from tests.patience import until
from tests.services.retrieval.following import ready

VERSION = "20260101T000000Z-000000"


@pytest.fixture
def app(make_app, album, encoder, tmp_path: Path):
    """The service on a store in a folder, with one version in it."""
    store = ObjectStore(StoreAddress(f"file://{tmp_path}/store"))
    version = album.build(encoder, known={"blue.png": {"captions": ("The sea.",), "tags": ("Water",)}})
    push(album.index, version, verify(version_folder(album.index, version)), store)
    store.publish(version)
    return make_app(index=store.address, index_cache=tmp_path / "cache")


async def test_filters_and_words_work_on_the_copy(client_of, app):
    """As they do in a folder."""
    async with client_of(app) as client:
        await until(ready(client))
        tagged = await client.post("/v1/search", json={"text": "red", "filter": {"tags": ["water"]}})
        words = await client.post("/v1/search", json={"text": "sea", "hybrid": True, "k": 1})

    assert [hit["captions"] for hit in tagged.json()["results"]] == [["The sea."]]
    assert [hit["path"] for hit in words.json()["results"]] == ["blue.png"]


async def test_changes_and_switches_are_refused(client_of, app, picture):
    """404 with who does it instead."""
    async with client_of(app) as client:
        await until(ready(client))
        replies = [
            await client.post("/v1/images", files={"image": picture("red")}),
            await client.delete(f"/v1/images/{picture_id('blue.png')}"),
            await client.get("/v1/index/versions"),
            await client.get(f"/v1/index/versions/{VERSION}/skipped"),
            await client.get("/v1/index/build"),
            await client.post("/v1/index/publish", json={"version": VERSION}),
            await client.post("/v1/index/rollback"),
        ]

    assert [reply.status_code for reply in replies] == [404] * len(replies)
    assert all("indexer" in reply.json()["detail"] for reply in replies)
