"""An open version is searched and looked up by many threads, and changed by none."""

import hashlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from imagetext.index import EncoderRef, IndexReader, PictureRow, picture_id, read_manifest, write_version
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound
from tests.imagetext.index.conftest import SmallIndex


@pytest.fixture
def folder(index):
    return index.version_folder(index.write())


@pytest.fixture
def reader(folder):
    with closing(IndexReader.open(folder, verify=True)) as reader:
        yield reader


def test_search_finds_the_nearest_rows_best_first(index, reader):
    """Scores are the cosine similarities, exactly those of a plain product."""
    queries = index.vectors(seed=5)[:3]
    products = queries @ index.vectors().T
    scores, rows = reader.search(queries, 3)

    assert scores.shape == rows.shape == (3, 3)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
    assert np.array_equal(rows, np.argsort(-products, axis=1)[:, :3])
    assert np.allclose(scores, np.take_along_axis(products, rows, axis=1), atol=1e-6)


def test_a_picture_is_nearest_to_itself(index, reader):
    """The vector of a row finds that row with score 1."""
    for row in range(len(index.paths)):
        scores, rows = reader.search(reader.vector(row)[None], 1)

        assert rows[0, 0] == row
        assert scores[0, 0] == pytest.approx(1, abs=1e-6)


def test_search_gives_no_more_than_there_is(index, reader):
    """A k above the size is cut; there are never rows of -1."""
    scores, rows = reader.search(index.vectors()[:1], 1000)

    assert scores.shape == (1, len(index.paths))
    assert sorted(rows[0]) == list(range(len(index.paths)))


@pytest.mark.parametrize("k", [0, -1])
def test_search_needs_a_positive_k(index, reader, k):
    """Asking for nothing is a wrong parameter."""
    with pytest.raises(InvalidParameter):
        reader.search(index.vectors()[:1], k)


@pytest.mark.parametrize("shape", [(1, 7), (8,), (1, 1, 8)])
def test_queries_of_another_encoder_are_refused(reader, shape):
    """A vector of another length was not made for this index."""
    with pytest.raises(IndexVersionError):
        reader.search(np.ones(shape, dtype=np.float32), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_queries_that_are_no_numbers_are_refused(reader, value):
    """FAISS would answer with rows of -1."""
    with pytest.raises(InvalidParameter):
        reader.search(np.full((1, 8), value, dtype=np.float32), 1)


def test_queries_may_be_of_another_float_and_layout(index, reader):
    """What is not contiguous float32 is converted."""
    queries = index.vectors()[::2]
    wide = np.asfortranarray(queries.astype(np.float64))

    assert np.array_equal(reader.search(wide, 2)[1], reader.search(np.ascontiguousarray(queries), 2)[1])


def test_rows_come_back_as_they_were_written(index, reader):
    """By row and by id, with names of any bytes."""
    for wanted in index.rows():
        assert reader.row(wanted.row) == wanted
        assert reader.row(np.int64(wanted.row)) == wanted
        assert reader.by_id(wanted.id) == wanted
    assert reader.rows() == index.rows()


def test_several_rows_come_in_the_order_of_the_question(index, reader):
    """Also none, one twice, and as many as a page has at most."""
    rows = index.rows()
    wanted = [3, 0, 4, 3] + [1] * 200

    assert reader.pictures(wanted) == [rows[row] for row in wanted]
    assert reader.pictures([]) == []


@pytest.mark.parametrize("row", [-1, 5, 2**70])
def test_a_row_that_is_not_there_is_not_found(reader, row):
    """Rows are counted from 0 to size - 1."""
    with pytest.raises(NotFound):
        reader.row(row)
    with pytest.raises(NotFound):
        reader.pictures([0, row])
    with pytest.raises(NotFound):
        reader.vector(row)


@pytest.mark.parametrize("id", ["", "0" * 16, "\udcff", "'; DROP TABLE pictures; --", "x" * 100_000, "a\0b"])
def test_an_id_that_is_not_there_is_not_found(reader, id):
    """Whatever a stranger sends as an id."""
    with pytest.raises(NotFound):
        reader.by_id(id)


def test_info_says_what_the_version_is(index, folder, reader):
    """Everything that the services show about an index."""
    info = reader.info

    assert (info.version, info.size, info.kind) == (folder.name, 5, "flat")
    assert (info.encoder, info.fingerprint, info.skipped) == ("toy", "f00d", 1)
    assert info.created == read_manifest(folder).created
    assert info.created.tzinfo is not None
    assert reader.images_root == Path("/pictures/\udcfc")
    assert reader.dimensions == 8


def test_shown_paths_can_be_sent(reader):
    """Undecodable bytes become replacement characters, everything else stays."""
    assert [row.shown_path for row in reader.rows()] == ["a.jpg", "b/c.jpg", "b/ü \n.png", "z�.gif", "zz.jpg"]


def test_ids_are_made_from_paths():
    """The first 16 hex digits of the sha256 of the path's bytes."""
    assert picture_id("trip/dogs.jpg") == hashlib.sha256(b"trip/dogs.jpg").hexdigest()[:16]
    assert picture_id("z\udcff.gif") == hashlib.sha256(b"z\xff.gif").hexdigest()[:16]


def test_vectors_are_copies(reader):
    """A caller may write into what it got."""
    before = reader.vector(0)
    reader.vector(0)[:] = 0

    assert np.array_equal(reader.vector(0), before)


def test_many_threads_may_use_one_reader(tmp_path):
    """Eight threads get what one thread gets, and the files stay as they were."""
    index = SmallIndex(tmp_path, paths=[f"{number:04}.jpg" for number in range(500)])
    folder = index.version_folder(index.write())
    before = checksums(folder)
    start = threading.Barrier(8)
    with closing(IndexReader.open(folder, verify=False)) as reader:

        def look(seed):
            queries = index.vectors(seed)[:20]
            scores, rows = reader.search(queries, 10)
            return scores.tobytes(), rows.tobytes(), [reader.by_id(reader.row(row).id).path for row in rows.ravel()]

        alone = [look(seed) for seed in range(8)]

        def look_together(seed):
            start.wait()
            return [look(seed) for _ in range(10)]

        with ThreadPoolExecutor(8) as pool:
            for seed, together in enumerate(pool.map(look_together, range(8))):
                assert together == [alone[seed]] * 10
    assert checksums(folder) == before


def checksums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_reader_outlives_its_folder(index, folder, reader):
    """A version may be pruned while a replica still answers from it."""
    shutil.rmtree(folder)

    assert reader.search(index.vectors()[:1], 1)[1][0, 0] == 0
    assert reader.row(4).path == "zz.jpg"
    assert np.allclose(reader.vector(2), index.vectors()[2])


def test_opens_from_a_folder_that_cannot_be_written(index, folder):
    """A read-only volume is enough: nothing is locked or written beside the files."""
    names = sorted(path.name for path in folder.iterdir())
    for path in [*folder.iterdir(), folder]:
        path.chmod(0o555)
    try:
        with closing(IndexReader.open(folder, verify=True)) as reader:
            assert reader.row(0).path == "a.jpg"
            assert sorted(path.name for path in folder.iterdir()) == names
    finally:
        folder.chmod(0o755)


def test_exact_search_at_some_size(tmp_path):
    """2,000 vectors of 64 dimensions, against a plain product."""
    vectors = np.random.default_rng(3).standard_normal((2000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [PictureRow(i, picture_id(f"{i}"), f"{i}", f"{i:064x}", 1, 1, 1, 1) for i in range(2000)]
    version = write_version(
        tmp_path, rows, vectors, encoder=EncoderRef("toy", "f00d", 64), images_root=Path("/pictures")
    )
    with closing(IndexReader.open(tmp_path / "versions" / version)) as reader:
        found = reader.search(vectors[:50], 5)[1]

    assert np.array_equal(found, np.argsort(-(vectors[:50] @ vectors.T), axis=1)[:, :5])


def test_rows_that_were_shown_come_back_the_same(index, reader):
    """Whether they come from the file or from memory, in any order, with others beside them."""
    first = reader.pictures([2, 0])

    assert reader.pictures([0, 1, 2, 2]) == [first[1], reader.row(1), first[0], first[0]]
    with pytest.raises(NotFound):
        reader.pictures([0, 99])
