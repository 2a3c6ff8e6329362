"""A version with the changes since: always what a version built from the same pictures would answer."""

import numpy as np
import pytest

from imagetext.index import Collection, IndexReader, picture_id
from imagetext.index.changes.records import Record
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound
from imagetext.wire.search_filter import SearchFilter
from tests.imagetext.index.changes import addition, deletion, unit
from tests.imagetext.index.conftest import clusters, write_clusters


@pytest.fixture
def reader(index):
    reader = IndexReader.open(index.version_folder(index.write()))
    yield reader
    reader.close()


@pytest.fixture
def collection(reader):
    return Collection.of(reader)


def records(*changes, first=1):
    return [Record(first + number, change) for number, change in enumerate(changes)]


def found(collection, vector, k=20, allowed=None):
    scores, rows = collection.search(vector[None], k, allowed)
    return [picture.path for picture in collection.pictures(rows[0].tolist())], scores[0]


def test_without_changes_it_is_the_version(collection, reader):
    """The same version, and the same answers."""
    assert collection.info == reader.info
    assert collection.rows() == reader.rows()
    assert found(collection, unit(1))[0] == [
        reader.row(row).path for row in reader.search(unit(1)[None], 20)[1][0].tolist()
    ]


def test_added_pictures_are_found_with_the_others(collection, tmp_path, reader):
    """In the order of score, under their id and their row, and the state before does not change."""
    after = collection.changed(records(addition(tmp_path, "new.jpg", 3), addition(tmp_path, "q/new.jpg", 4)))
    paths, scores = found(after, unit(3))

    assert paths[0] == "new.jpg" and scores[0] == pytest.approx(1, abs=1e-6)
    assert len(paths) == after.info.size == reader.info.size + 2
    assert list(scores) == sorted(scores, reverse=True)
    assert found(after, unit(3), 1)[0] == ["new.jpg"]
    picture = after.by_id(picture_id("q/new.jpg"))
    assert picture == after.row(picture.row) == after.rows()[-1]
    assert np.array_equal(after.vector(picture.row), unit(4))
    assert picture.captions == ("seed 4",)
    assert after.info.version == f"{reader.info.version}+2"
    assert (after.info.added, after.info.removed) == (2, 0)
    assert "new.jpg" not in found(collection, unit(3))[0]
    with pytest.raises(NotFound):
        collection.by_id(picture_id("new.jpg"))


def test_deleted_pictures_are_found_no_more(collection, tmp_path, reader):
    """Neither of the version nor of the added ones; everything else is as before."""
    before = collection.changed(records(addition(tmp_path, "new.jpg", 3)))
    after = before.changed(records(deletion("a.jpg"), deletion("new.jpg"), deletion("never.jpg"), first=2))
    row = reader.by_id(picture_id("a.jpg")).row

    assert sorted(found(after, unit(3))[0]) == sorted(p.path for p in reader.rows() if p.path != "a.jpg")
    assert after.info.size == reader.info.size - 1
    for call in (
        lambda: after.by_id(picture_id("a.jpg")),
        lambda: after.by_id(picture_id("new.jpg")),
        lambda: after.row(row),
        lambda: after.vector(row),
        lambda: after.pictures([1, row]),
        lambda: after.row(99),
        lambda: after.vector(99),
    ):
        with pytest.raises(NotFound):
            call()
    assert "a.jpg" in found(before, unit(3))[0]


def test_a_replaced_picture_is_there_once(collection, tmp_path, reader):
    """With its new vector, whether the old one is of the version or was added."""
    after = collection
    for number, seed in enumerate((5, 6), 1):
        after = after.changed(records(addition(tmp_path, "a.jpg", seed), first=number))
        paths, scores = found(after, unit(seed))
        assert paths.count("a.jpg") == 1 and paths[0] == "a.jpg" and scores[0] == pytest.approx(1, abs=1e-6)
        assert after.info.size == reader.info.size
    again = after.changed(records(deletion("a.jpg"), addition(tmp_path, "a.jpg", 7), first=3))

    assert found(again, unit(7))[0][0] == "a.jpg"
    assert again.info.version.endswith("+4")


def test_only_allowed_rows_are_found(collection, tmp_path):
    """In the version and among the added ones; hidden ones are left out, rows that never were are an error."""
    after = collection.changed(records(deletion("a.jpg"), *(addition(tmp_path, f"{n}", n) for n in range(3))))
    gone = collection.by_id(picture_id("a.jpg")).row
    added = after.by_id(picture_id("1")).row

    assert set(found(after, unit(0), allowed=np.array([added, gone, 2]))[0]) == {"1", after.row(2).path}
    assert found(after, unit(0), allowed=np.array([gone]))[0] == []
    with pytest.raises(NotFound):
        after.search(unit(0)[None], 3, np.array([99]))
    with pytest.raises(InvalidParameter):
        after.search(unit(0)[None], 0)
    with pytest.raises(IndexVersionError):
        after.search(np.ones((1, 3), np.float32), 1)


def test_pictures_of_another_encoder_are_not_compared(collection, tmp_path, reader):
    """They wait for the next build; what they replace is gone all the same."""
    after = collection.changed(records(addition(tmp_path, "a.jpg", 3, fingerprint="other")))

    assert "a.jpg" not in found(after, unit(3))[0]
    assert after.info.size == reader.info.size - 1


def test_states_that_grow_from_one_do_not_mix(collection, tmp_path):
    """Two ways on from the same state, and many small steps."""
    left = collection.changed(records(addition(tmp_path, "left", 1)))
    right = collection.changed(records(addition(tmp_path, "right", 2)))
    grown = left
    for number in range(150):
        grown = grown.changed(records(addition(tmp_path, f"{number}", number + 10), first=2 + number))

    assert found(left, unit(1), 1)[0] == ["left"] and found(right, unit(2), 1)[0] == ["right"]
    assert "left" not in found(right, unit(1))[0]
    assert all(found(grown, unit(number + 10), 1)[0] == [f"{number}"] for number in range(150))
    assert grown.info.size == collection.info.size + 151


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_many_deletions_leave_no_answer_short(tmp_path, kind):
    """Though all the nearest are gone, as many are found as were asked for, and the right ones."""
    vectors = clusters(4_000)
    reader = IndexReader.open(write_clusters(tmp_path / "index", vectors, kind=kind))
    queries = clusters(3, seed=5)
    order = np.argsort(-(queries[0] @ vectors.T))
    gone = order[:600].tolist()
    after = Collection.of(reader).changed(records(*(deletion_of(reader.row(row)) for row in gone)))
    for k in (1, 10, 100, 200, 5_000):
        scores, rows = after.search(queries, k)
        assert rows.shape == (3, min(k, 3_400))
        assert not set(rows.ravel().tolist()) & set(gone)
        assert (np.diff(scores, axis=1) <= 0).all() and np.isfinite(scores).all()
    best = after.search(queries[:1], 10)[0][0]
    assert np.allclose(best, np.sort(queries[0] @ vectors[order[600:]].T)[::-1][:10], atol=1e-5) or kind == "ivf"
    reader.close()


def deletion_of(picture):
    change = deletion("x")
    return type(change)(picture.id, picture.path, 1, change.over)


def test_filters_and_words_find_added_pictures_too(collection, tmp_path):
    """As those of the version: by tags, by words of captions; not those that have gone again."""
    added = [addition(tmp_path, "new.jpg", 3), addition(tmp_path, "gone.jpg", 4), deletion("gone.jpg")]
    after = collection.changed(records(*added))
    new = after.by_id(picture_id("new.jpg")).row

    tagged = after.matching(SearchFilter(tags=["made up"]))
    assert new in tagged and after.search(unit(3)[None], 9, tagged)[1].tolist() == [[new]]
    assert after.ranked_by_words("seed 3", 9).tolist() == [new]
    assert after.score(unit(3), np.array([new, 0])) == pytest.approx([1, after.vector(0) @ unit(3)], abs=1e-6)
    assert after.carried([new, 0]) == [{}, {}]


def test_filters_and_words_leave_out_what_was_replaced(collection, tmp_path, reader):
    """A picture that was replaced several times has one row, and does not take the places of others."""
    steps = [addition(tmp_path, "new.jpg", seed) for seed in (3, 4, 5)]
    after = collection.changed(records(*steps, addition(tmp_path, "other.jpg", 6), deletion("a.jpg")))
    new, other = (after.by_id(picture_id(path)).row for path in ("new.jpg", "other.jpg"))
    gone = reader.by_id(picture_id("a.jpg")).row

    assert after.matching(SearchFilter(tags=["made up"])).tolist() == [new, other]
    assert set(after.matching(SearchFilter())) == {picture.row for picture in after.rows()}
    assert sorted(after.ranked_by_words("seed", 2).tolist()) == [new, other]
    assert after.ranked_by_words("seed 3", 1).tolist() == [new]
    assert after.vectors([other, 1, new]) == pytest.approx(np.stack([unit(6), reader.vector(1), unit(5)]))
    for rows in ([new, gone], [new - 1], [other + 1], [-1]):
        with pytest.raises(NotFound):
            after.vectors(rows)
    assert after.vectors([]).shape == (0, after.dimensions)
