"""Milvus answers as the files do; Milvus Lite stands in for a cluster."""

import numpy as np
import pytest

from imagetext.index import IndexReader
from imagetext.index.remote.location import MilvusAddress
from imagetext.index.remote.milvus_rows import MAX_IDS, MilvusConnection, row_filter
from imagetext.index.remote.milvus_store import MilvusStore, load
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound, Unavailable
from tests.imagetext.index.conftest import clusters, write_clusters

pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'imagetext[milvus]'")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: pip install 'imagetext[milvus]'")

QUERIES = clusters(8, seed=7)


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("milvus") / "milvus.db")


@pytest.fixture(scope="module")
def large(tmp_path_factory, database):
    """4000 vectors in files and in Milvus, some of them equal."""
    vectors = clusters(4_000)
    vectors[100:120] = vectors[100]
    folder = write_clusters(tmp_path_factory.mktemp("large"), vectors, kind="flat")
    store = MilvusStore(MilvusConnection(MilvusAddress(database, "large")))
    load(store, folder)
    files = IndexReader.open(folder)
    yield files, store.open(folder.name)
    files.close()


@pytest.fixture
def store(database, request) -> MilvusStore:
    return MilvusStore(MilvusConnection(MilvusAddress(database, f"t{abs(hash(request.node.name)):x}")))


@pytest.mark.parametrize("k", [1, 12, 1_000])
def test_scores_and_rows_are_those_of_exact_search(large, k):
    """To the fourth digit and better, for one query and for several."""
    files, milvus = large
    for queries in (QUERIES[:1], QUERIES):
        scores, rows = files.search(queries, k)
        found_scores, found_rows = milvus.search(queries, k)

        assert found_scores.shape == found_rows.shape == (len(queries), k)
        assert (found_scores.dtype, found_rows.dtype) == (np.float32, np.int64)
        np.testing.assert_allclose(found_scores, scores, atol=1e-5)
        for mine, theirs, score in zip(found_rows, rows, scores, strict=True):
            gaps = np.abs(np.diff(score, prepend=2, append=-2)) > 1e-6
            clear = gaps[1:] & gaps[:-1]  # equal scores may come in any order
            assert clear.mean() > 0.8
            assert (mine[clear] == theirs[clear]).all()


def test_filters(large):
    """Single rows, runs of rows, and both."""
    files, milvus = large
    random = np.random.default_rng(3)
    for allowed in (
        np.array([17]),
        random.permutation(4_000)[:300],
        np.r_[50:2_000, 3_000:3_007, 2_500],
        np.setdiff1d(np.arange(4_000), [5, 900, 901]),
        np.array([], dtype=np.int64),
    ):
        scores, rows = files.search(QUERIES, 5, allowed)
        found_scores, found_rows = milvus.search(QUERIES, 5, allowed)

        np.testing.assert_allclose(found_scores, scores, atol=1e-5)
        assert (found_rows == rows).mean() > 0.99 if rows.size else found_rows.shape == rows.shape
        assert np.isin(found_rows, allowed).all()


def test_filter_that_is_too_long():
    """Is refused with a sentence; many rows in few places are not."""
    with pytest.raises(InvalidParameter, match="narrow it"):
        row_filter(np.arange(0, 4 * MAX_IDS, 2))

    assert row_filter(np.r_[0:1_000_000, 5_000_000]) == "(row >= 0 and row <= 999999) or row in [5000000]"


def test_bad_questions(large):
    """As those to files."""
    _, milvus = large
    with pytest.raises(InvalidParameter):
        milvus.search(QUERIES, 0)
    with pytest.raises(InvalidParameter):
        milvus.search(QUERIES * np.nan, 1)
    with pytest.raises(IndexVersionError):
        milvus.search(QUERIES[:, :3], 1)
    with pytest.raises(NotFound):
        milvus.search(QUERIES, 1, np.array([4_000]))
    for id in ("", "nothing", '" or row >= 0 or id == "', "é", "x" * 70):
        with pytest.raises(NotFound):
            milvus.by_id(id)
    for call in (milvus.vector, lambda row: milvus.pictures([0, row])):
        for row in (4_000, -1, 2**70):
            with pytest.raises(NotFound):
                call(row)
    assert milvus.pictures([]) == []


def test_pictures_come_back_as_they_went(store, index):
    """Also those whose paths are no Unicode, in any order and twice."""
    version = index.write()
    load(store, index.version_folder(version))
    reader = store.open(version)
    vectors = [reader.vector(row) for row in range(5)]
    several = reader.vectors([4, 1, 4])

    assert reader.pictures([3, 0, 2, 3]) == [index.rows()[row] for row in (3, 0, 2, 3)]
    assert reader.by_id(index.rows()[3].id) == index.rows()[3]
    assert reader.images_root.name == "\udcfc"
    assert (reader.info.version, reader.info.size, reader.info.kind) == (version, 5, "milvus-flat")
    assert (reader.info.fingerprint, reader.info.recall) == ("f00d", None)
    np.testing.assert_array_equal(vectors, index.vectors())
    np.testing.assert_array_equal(several, index.vectors()[[4, 1, 4]])


def test_versions_are_published_and_pruned(store, index):
    """By the alias; rollback is the alias of an older one."""
    assert (store.current(), store.versions()) == (None, [])
    versions = [index.write(seed) for seed in range(3)]
    for version in versions:
        load(store, index.version_folder(version))
        store.publish(version)
    newest = store.current()
    store.publish(versions[0])

    assert (newest, store.current()) == (versions[2], versions[0])
    with pytest.raises(IndexVersionError, match="in use"):
        load(store, index.version_folder(versions[0]))
    assert store.prune(1) == [versions[1]]
    assert store.versions() == [versions[0], versions[2]]


def test_half_a_version_is_refused(store, index):
    """As a push leaves it that was killed; the next push begins again."""
    version = index.write()
    load(store, index.version_folder(version))
    client, collection = store.connection.client, store.collection_of(version)
    client.delete(collection, ids=[4])
    with pytest.raises(IndexVersionError, match=r"4 pictures.*manifest says 5"):
        store.open(version)
    half = store.has(version)
    load(store, index.version_folder(version))
    missing = index.write(1)

    assert (half, store.has(version), store.has(missing)) == (False, True, False)


def test_foreign_collection_is_no_version(store):
    """An alias of something else is told of, and not touched."""
    client = store.connection.client
    client.create_collection("holidays", dimension=3)
    client.create_alias("holidays", store._alias)
    with pytest.raises(IndexVersionError, match="holidays"):
        store.current()


@pytest.mark.parametrize("index_type", ["HNSW", "IVF_FLAT"])
def test_approximate_index(database, tmp_path, index_type):
    """Scores are exact, most of the nearest are found, and pages continue one another."""
    folder = write_clusters(tmp_path, kind="flat")
    store = MilvusStore(MilvusConnection(MilvusAddress(database, index_type)))
    load(store, folder, index_type)
    files, milvus = IndexReader.open(folder), store.open(folder.name)
    truth = files.search(QUERIES, 20)[1]
    scores, rows = milvus.search(QUERIES, 20)
    vectors = np.load(folder / "vectors.npy")

    assert milvus.info.kind == f"milvus-{index_type.lower().replace('_', '-')}"
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", QUERIES, vectors[rows]), atol=1e-5)
    assert np.mean([len(np.intersect1d(a, b)) / 20 for a, b in zip(rows, truth, strict=True)]) > 0.95
    np.testing.assert_array_equal(milvus.search(QUERIES, 40)[1][:, :20], rows)
    files.close()


def test_milvus_that_is_away():
    """Is Unavailable with a time to come back, and says nothing of where it is."""
    store = MilvusStore(MilvusConnection(MilvusAddress("http://127.0.0.1:9", "photos")))
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        store.current()

    assert refused.value.retry_after == 5
    assert "127.0.0.1" not in refused.value.detail
