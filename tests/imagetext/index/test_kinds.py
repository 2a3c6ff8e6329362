"""An index is of the kind that size, memory and target of recall ask for, and its manifest says what was measured."""

import contextlib
import random
import shutil
from contextlib import closing

import faiss
import numpy as np
import pytest

from imagetext.index import IndexOptions, IndexReader, list_versions, read_manifest
from imagetext.index.kinds import plans
from imagetext.index.tuning import choose
from imagetext.index.vector_search import SHALLOW
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound
from tests.imagetext.index.conftest import clusters, write_clusters

APPROXIMATE = ["hnsw", "ivf", "ivfpq"]
MILLION = 1_000_000


@pytest.fixture(scope="module", params=APPROXIMATE)
def folder(request, tmp_path_factory):
    return write_clusters(tmp_path_factory.mktemp("index"), kind=request.param)


@pytest.fixture
def reader(folder):
    with closing(IndexReader.open(folder, verify=True)) as reader:
        yield reader


@pytest.fixture(scope="module")
def products():
    """Of 40 queries with all vectors."""
    return clusters(40, seed=1) @ clusters(4_000).T


def best(products, k):
    return np.argsort(-products, axis=1, kind="stable")[:, :k]


def test_an_approximate_search_finds_most_of_the_nearest(reader, products):
    """With their exact cosines, best first, and no row twice."""
    scores, rows = reader.search(clusters(40, seed=1), 10)

    assert np.mean([len(np.intersect1d(*both)) for both in zip(rows, best(products, 10), strict=True)]) >= 9.5
    assert np.allclose(scores, np.take_along_axis(products, rows, axis=1), atol=1e-6)
    assert (np.diff(scores) <= 0).all()
    assert all(len(set(found)) == 10 for found in rows.tolist())


def test_pages_continue_one_another(reader):
    """As deep as answers are approximate, a longer one begins as a shorter one."""
    queries = clusters(5, seed=2)
    longest = reader.search(queries, SHALLOW)[1]

    for k in [1, 12, 13, 100]:
        assert np.array_equal(reader.search(queries, k)[1], longest[:, :k])


@pytest.mark.parametrize("k", [SHALLOW + 1, 3_999, 4_000, 10_000])
def test_deep_pages_are_exact(reader, products, k):
    """Every row can be reached, once."""
    scores, rows = reader.search(clusters(40, seed=1), k)
    k = min(k, 4_000)

    assert rows.shape == (40, k)
    assert np.allclose(scores, -np.sort(-products, axis=1)[:, :k], atol=1e-6)
    assert all(len(set(found)) == k for found in rows.tolist())


@pytest.mark.parametrize("part", [0.0005, 0.05, 0.3, 0.9])
def test_only_allowed_rows_are_found(reader, products, part):
    """Of few as of many; as many as are asked for, as long as there are so many."""
    allowed = np.random.default_rng(5).permutation(4_000)[: int(part * 4_000)]
    scores, rows = reader.search(clusters(40, seed=1), 10, allowed)
    forbidden = np.full(products.shape, -2.0)
    forbidden[:, allowed] = products[:, allowed]
    wanted = best(forbidden, min(10, len(allowed)))

    assert rows.shape == wanted.shape
    assert np.isin(rows, allowed).all()
    assert np.mean([len(np.intersect1d(*both)) for both in zip(rows, wanted, strict=True)]) >= 0.95 * wanted.shape[1]
    assert np.allclose(scores, np.take_along_axis(products, rows, axis=1), atol=1e-6)


def test_of_no_rows_none_is_found(reader):
    """A filter that nothing passes; one that names a row that is not there is refused."""
    scores, rows = reader.search(clusters(2, seed=1), 10, np.array([], dtype=np.int64))

    assert scores.shape == rows.shape == (2, 0)
    for row in [-1, 4_000]:
        with pytest.raises(NotFound):
            reader.search(clusters(2, seed=1), 10, np.array([5, row]))


def test_what_equals_ties(tmp_path):
    """Two hundred pictures that are the same have one score, and none is lost between exact and approximate."""
    vectors = clusters(2_000)
    vectors[300:500] = vectors[300]
    with closing(IndexReader.open(write_clusters(tmp_path, vectors, kind="ivf"))) as reader:
        near, deep = (reader.search(vectors[300][None], k) for k in (50, 200))

    assert sorted(deep[1][0]) == list(range(300, 500))
    assert set(near[1][0]) <= set(range(300, 500))
    assert len({*near[0][0], *deep[0][0]}) == 1


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_equal_vectors_give_equal_files(tmp_path, kind):
    """Whatever the number of threads; the same search settings are chosen, too."""
    before = faiss.omp_get_max_threads()
    folders = []
    try:
        for threads in [1, 2]:
            faiss.omp_set_num_threads(threads)
            folders.append(write_clusters(tmp_path, kind=kind))
            assert faiss.omp_get_max_threads() == threads
    finally:
        faiss.omp_set_num_threads(before)
    manifests = [read_manifest(folder) for folder in folders]

    assert manifests[0].files == manifests[1].files
    assert manifests[0].effort == manifests[1].effort


def test_the_manifest_says_what_was_measured(folder, reader):
    """And everybody who asks for the index is told."""
    manifest = read_manifest(folder)

    assert manifest.measured.recall >= 0.98
    assert manifest.measured.queries_per_second > 0 < manifest.measured.exact_queries_per_second
    assert manifest.measured.memory_bytes == (folder / "index.faiss").stat().st_size
    assert manifest.options == IndexOptions(kind=manifest.kind)
    assert (reader.info.kind, reader.info.recall) == (manifest.kind, manifest.measured.recall)


def test_a_damaged_file_that_is_opened_unverified_never_crashes(folder, tmp_path, damage):
    """It is refused, or searched and perhaps wrong; the services open nothing unverified."""
    copy = shutil.copytree(folder, tmp_path / folder.name)
    size = (copy / "index.faiss").stat().st_size
    for at in [*range(0, 130, 3), *random.Random(1).sample(range(size), 20)]:
        damage(copy / "index.faiss", at)
        with contextlib.suppress(IndexVersionError), closing(IndexReader.open(copy)) as reader:
            reader.search(clusters(3, seed=4), 10)
        damage(copy / "index.faiss", at)
    with closing(IndexReader.open(copy, verify=True)) as reader:
        assert reader.info.size == 4_000


def test_building_says_nothing(tmp_path, capfd):
    """FAISS's own warnings would stand in the indexer's output."""
    write_clusters(tmp_path, clusters(1_100), kind="ivfpq")

    assert capfd.readouterr() == ("", "")


def test_an_exact_index_is_measured_too(tmp_path):
    """Its recall is 1, and what it needs in memory are the vectors."""
    folder = write_clusters(tmp_path, clusters(50))
    measured = read_manifest(folder).measured

    assert (measured.recall, measured.memory_bytes) == (1.0, 50 * 32 * 4)
    assert measured.queries_per_second == measured.exact_queries_per_second > 0
    assert not (folder / "index.faiss").exists()


def test_a_higher_target_is_reached_by_looking_harder(tmp_path):
    """The tuning follows the target."""
    work = []
    for recall in [0.6, 0.99]:
        manifest = read_manifest(write_clusters(tmp_path, kind="ivf", target_recall=recall))
        assert manifest.measured.recall >= recall
        work.append(manifest.effort.probes * manifest.effort.candidates)

    assert work[0] < work[1]


def test_texts_are_part_of_the_tuning(tmp_path):
    """They lie apart from the pictures, where cells are harder to tell."""
    texts = np.random.default_rng(1).standard_normal((60, 32)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    options = IndexOptions(kind="ivf", target_recall=0.95)
    with_texts, without = (choose(tmp_path, clusters(4_000), options, each) for each in (texts, None))

    assert with_texts.effort.probes > without.effort.probes
    assert with_texts.measured.recall >= 0.95


@pytest.mark.parametrize(
    ("size", "options", "kinds"),
    [
        (5_000, IndexOptions(), ["flat", "ivfpq", "ivf"]),
        (MILLION, IndexOptions(), ["ivfpq", "ivf", "flat"]),
        (MILLION, IndexOptions(target_recall=1), ["flat"]),
        (MILLION, IndexOptions(max_memory=1_000_000_000), ["ivfpq", "ivf"]),
        (MILLION, IndexOptions(max_memory=200_000_000), ["ivfpq"]),
        (MILLION, IndexOptions(kind="hnsw"), ["hnsw"]),
        (500, IndexOptions(kind="hnsw"), ["flat"]),
    ],
)
def test_size_memory_and_recall_decide(size, options, kinds):
    """The first kind is tried first, and the next when it does not reach the target."""
    assert [plan.kind for plan in plans(options, size, 512)] == kinds


def test_too_little_memory_is_said_with_what_is_needed(tmp_path):
    """And nothing is written."""
    with pytest.raises(
        InvalidParameter, match=r"4,000 vectors of 32 dimensions need at least [\d,]+ bytes .*kind ivfpq; 1,000 are"
    ):
        write_clusters(tmp_path, max_memory=1_000)
    assert list_versions(tmp_path) == []


def test_the_memory_is_estimated_well(folder):
    """Within a fifth of the file that comes of it."""
    manifest = read_manifest(folder)
    (plan,) = plans(IndexOptions(kind=manifest.kind), 4_000, 32)

    assert plan.memory_bytes == pytest.approx(manifest.measured.memory_bytes, rel=0.2)


@pytest.mark.parametrize("wrong", [{"kind": "lsh"}, {"target_recall": 1.1}, {"target_recall": 0}, {"max_memory": 0}])
def test_what_makes_no_sense_is_refused(wrong):
    """Before anything is built."""
    with pytest.raises(InvalidParameter):
        IndexOptions(**wrong)
