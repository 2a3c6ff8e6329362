"""Versions go to an object store and come back, whole or not at all."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagetext.index import IndexReader, current_version, list_versions, verify, version_folder
from imagetext.index.remote.location import StoreAddress
from imagetext.index.remote.mirror import FETCHING, Mirror
from imagetext.index.remote.object_store import ObjectStore, push
from imagetext.wire.errors import IndexVersionError, Unavailable

FILES = ["vectors.npy", "rows.sqlite", "skipped.jsonl", "manifest.json"]


class Seen(ObjectStore):
    """A store that counts what is fetched from it."""

    def __init__(self, address: StoreAddress) -> None:
        super().__init__(address)
        self.fetched: list[str] = []

    def chunks(self, version, name):
        self.fetched.append(name)
        yield from super().chunks(version, name)


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path) -> Seen:
    place = f"memory://{uuid.uuid4().hex}/a" if request.param == "memory" else f"file://{tmp_path / 'store'}"
    return Seen(StoreAddress(place))


@pytest.fixture
def mirror(store, tmp_path) -> Mirror:
    return Mirror(store, tmp_path / "copies")


def send(store, index, seed=0):
    version = index.write(seed)
    sent = push(index.folder, version, verify(index.version_folder(version)), store)
    store.publish(version)
    return version, sent


def changed(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def spoil(store, version, name, content):
    """The object with other content; None removes it."""
    path = store._path(version, name)
    if content is None:
        store._files.rm(path)
    else:
        store._files.pipe_file(path, content(store._files.cat_file(path)))


def test_round_trip(store, mirror, index):
    """What is fetched is the same byte for byte, and opens."""
    assert (store.current(), store.versions()) == (None, [])
    version, sent = send(store, index)
    folder = mirror.fetch(version)
    reader = IndexReader.open(folder, verify=True)

    assert sent == FILES
    assert store.current() == version
    assert store.versions() == [version]
    assert [row.path for row in reader.rows()] == index.paths
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in index.version_folder(version).iterdir()
    }
    reader.close()


def test_whole_version_is_neither_sent_nor_fetched_again(store, mirror, index):
    """Only what is missing goes over the net; `again` sends all of it."""
    version, _ = send(store, index)
    mirror.fetch(version)
    store.fetched.clear()
    mirror.fetch(version)
    manifest = verify(index.version_folder(version))
    first = push(index.folder, version, manifest, store)
    spoil(store, version, "rows.sqlite", None)
    second = push(index.folder, version, manifest, store)

    assert store.fetched == []
    assert first == []
    assert second == ["rows.sqlite", "manifest.json"]
    assert push(index.folder, version, manifest, store, again=True) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "change",
    [None, lambda content: content[:-1], changed, lambda content: content + b"x"],
    ids=["missing", "cut off", "changed", "longer"],
)
def test_spoilt_object_is_refused(store, mirror, index, name, change):
    """With the name of the file; nothing of it is to be seen as a version. Sent again, it is fetched."""
    index.skipped *= 3
    version, _ = send(store, index)
    spoil(store, version, name, change)
    with pytest.raises(IndexVersionError, match=name):
        mirror.fetch(version)

    assert list_versions(mirror.index) == []
    push(index.folder, version, verify(index.version_folder(version)), store, again=True)
    assert verify(mirror.fetch(version)).version == version


def test_broken_fetch_goes_on(store, mirror, index):
    """What had come whole is not fetched again, and a damaged object is left alone until it is written again."""
    version, _ = send(store, index)
    whole = store.read(version, "rows.sqlite")
    spoil(store, version, "rows.sqlite", changed)
    for _ in range(2):
        with pytest.raises(IndexVersionError, match="checksum"):
            mirror.fetch(version)
    assert store.fetched == ["vectors.npy", "rows.sqlite"]
    spoil(store, version, "rows.sqlite", lambda _: whole)
    mirror.fetch(version)

    assert store.fetched == ["vectors.npy", "rows.sqlite", "rows.sqlite", "skipped.jsonl"]


def test_fetch_is_stopped(store, mirror, index):
    """As when the service goes: no half version is left under a name."""
    version, _ = send(store, index)
    mirror.stop()
    with pytest.raises(Unavailable):
        mirror.fetch(version)

    assert list_versions(mirror.index) == []


def test_version_can_be_refused_by_its_manifest(store, mirror, index):
    """Before anything large is fetched."""
    version, _ = send(store, index)

    def refuse(manifest):
        raise IndexVersionError(f"not {manifest.encoder.fingerprint}")

    with pytest.raises(IndexVersionError, match="not f00d"):
        mirror.fetch(version, refuse)

    assert store.fetched == []


def test_newest_copies_are_kept(store, mirror, index):
    """And the current one; a fetch that was given up is cleared away by the next."""
    versions = [send(store, index, seed)[0] for seed in range(4)]
    (mirror.index / FETCHING / "20200101T000000Z-000000").mkdir(parents=True)
    for version in versions:
        mirror.fetch(version)
    mirror.publish(versions[0], keep=2)

    assert list_versions(mirror.index) == [versions[0], *versions[2:]]
    assert current_version(mirror.index) == versions[0]
    assert list((mirror.index / FETCHING).iterdir()) == []


def test_two_replicas_may_share_the_folder(store, mirror, index):
    """Whoever comes second waits, and finds what the first has fetched."""
    version, _ = send(store, index)
    mirrors = [mirror, Mirror(store, mirror.index)]
    with ThreadPoolExecutor(2) as threads:
        folders = list(threads.map(lambda each: each.fetch(version), mirrors))

    assert folders[0] == folders[1]
    assert sorted(store.fetched) == sorted(FILES[:3])
    assert verify(folders[0]).version == version


def test_store_is_pruned(store, index):
    """The current one stays."""
    versions = [send(store, index, seed)[0] for seed in range(4)]
    store.publish(versions[0])

    assert store.prune(2) == [versions[1]]
    assert store.versions() == [versions[0], *versions[2:]]


def test_nonsense_in_current(store):
    """Is no version."""
    store._files.makedirs(store._root, exist_ok=True)
    store._files.pipe_file(f"{store._root}/CURRENT", b"../../etc\n")
    with pytest.raises(IndexVersionError, match="CURRENT"):
        store.current()


def test_version_under_another_name(store, mirror, index):
    """A manifest of another version is refused."""
    first, _ = send(store, index)
    second = index.write(1)
    folder = version_folder(index.folder, second)
    for name in FILES:
        store.write(folder / name, first, name)
    with pytest.raises(IndexVersionError, match=f"holds version {second}"):
        mirror.fetch(first)


def test_unknown_scheme():
    """Says what is missing."""
    with pytest.raises(Unavailable, match="nowhere"):
        ObjectStore(StoreAddress("nowhere://x")).current()
