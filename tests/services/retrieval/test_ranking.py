"""Which rows are shown, and in which order."""

from pathlib import Path

import numpy as np
import pytest

from imagetext.index import EncoderRef, IndexReader, PictureRow, picture_id, version_folder, write_version
from imagetext.wire.search_filter import SearchFilter
from services.retrieval.searching import DEPTHS, Page, alike, rank

SIZE = 3_000
QUERY = np.array([1, 0, 0], dtype=np.float32)


def on_an_arc(degrees: np.ndarray) -> np.ndarray:
    """Unit vectors at these angles from the query."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))], axis=1).astype(np.float32)


def opened(folder: Path, vectors: np.ndarray) -> IndexReader:
    rows = [PictureRow(i, picture_id(str(i)), str(i), f"{i:064x}", 1, 1, i + 1, 1) for i in range(len(vectors))]
    version = write_version(folder, rows, vectors, encoder=EncoderRef("arc", "f", 3), images_root=folder)
    return IndexReader.open(version_folder(folder, version))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Row i lies i / 100 degrees from the query."""
    reader = opened(tmp_path_factory.mktemp("arc"), on_an_arc(np.arange(SIZE) / 100))
    yield reader
    reader.close()


def judge(scores):
    """Row i has the relevance 1 - i / 3000."""
    return np.maximum(1 - np.degrees(np.arccos(np.minimum(scores, 1))) / 30, 0)


def walked(reader: IndexReader, k: int, **options: object) -> list[int]:
    """All rows that are shown, page after page."""
    found, offset = [], 0
    while True:
        page = rank(reader, QUERY, Page(offset, k, **options), judge).rows.tolist()
        found += page
        offset += k
        if len(page) < k:
            return found


def test_pages_end_with_the_last_relevant_row(reader):
    """However large the pages are, they show the same rows, and then nothing."""
    whole = walked(reader, 200, min_relevance=0.8)

    assert whole == list(range(len(whole)))
    assert 590 < len(whole) < 610
    assert walked(reader, 97, min_relevance=0.8) == whole
    assert len(rank(reader, QUERY, Page(len(whole), 10, min_relevance=0.8), judge).rows) == 0


def test_relevance_is_asked_for_shown_rows_only(reader):
    """Where duplicates are shown, a deep page judges no more than itself."""
    asked = []

    def counting(scores):
        asked.append(len(scores))
        return scores

    rank(reader, QUERY, Page(500, 3), counting)

    assert asked == [3]


def test_rows_that_are_searched_with_are_not_shown(reader):
    """Nor do they make a page shorter."""
    assert rank(reader, QUERY, Page(0, 3, own=[0, 2]), judge).rows.tolist() == [1, 3, 4]
    assert rank(reader, QUERY, Page(1, 2, own=[1], min_relevance=0.5), judge).rows.tolist() == [2, 3]


def test_only_what_passes_the_filter_is_shown(reader):
    """What leaves rows out otherwise goes by those that pass. A picture's width is its row and one."""
    filter = SearchFilter(width={"min": 1_499, "max": 1_502})

    assert walked(reader, 3, filter=filter) == [1_498, 1_499, 1_500, 1_501]
    assert walked(reader, 3, filter=filter, min_relevance=0.5) == [1_498, 1_499]
    assert walked(reader, 3, filter=filter, words="1499", min_relevance=0.5) == [1_499, 1_498]


def test_nothing_fits(reader):
    """Where no row is relevant enough there is no hit, and no error."""
    for collapse in (False, True):
        page = Page(0, 5, min_relevance=0.9, collapse=collapse)
        assert rank(reader, -QUERY, page, lambda scores: scores).rows.tolist() == []


def test_duplicates_deep_down_leave_no_gap(reader):
    """A page is filled however many rows stand before it for one; beyond the depth that is looked at nothing comes."""
    shown = walked(reader, 1, collapse=True)
    page = rank(reader, QUERY, Page(0, 3, collapse=True), judge)

    assert shown[0] == 0
    assert 1_400 < shown[1] < 1_410  # the cosine of 14.07 degrees is 0.97
    assert len(shown) == 2
    assert page.rows.tolist() == shown
    assert page.duplicates[1] == list(range(shown[1] + 1, DEPTHS[-1]))


def test_near_duplicates_are_shown_once(tmp_path):
    """The best of them is shown and names the others; pages of one and of many are the same."""
    reader = opened(tmp_path, on_an_arc(np.array([0, 40, 1, 80, 41, 2, 40])))
    whole = rank(reader, QUERY, Page(0, 10, collapse=True), judge)
    single = [rank(reader, QUERY, Page(offset, 1, collapse=True), judge) for offset in range(4)]
    like_the_first = rank(reader, QUERY, Page(0, 10, own=[0], collapse=True), judge)
    reader.close()

    assert whole.rows.tolist() == [0, 1, 3]
    assert whole.duplicates == [[2, 5], [6, 4], []]
    assert [page.rows.tolist() for page in single] == [[0], [1], [3], []]
    assert [page.duplicates for page in single[:3]] == [[[2, 5]], [[6, 4]], [[]]]
    assert like_the_first.rows.tolist() == [1, 3]


class Counted:
    """A version that counts how often its vectors are asked for: elsewhere each may be a way to another machine."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self.asked = 0

    def vectors(self, rows):
        self.asked += 1
        return self._reader.vectors(rows)

    def __getattr__(self, name):
        assert name != "vector"
        return getattr(self._reader, name)


def test_near_duplicates_are_compared_all_at_once(tmp_path):
    """Not picture by picture."""
    reader = opened(tmp_path, on_an_arc(np.array([0, 40, 1, 80, 41, 2, 40])))
    counted = Counted(reader)
    page = rank(counted, QUERY, Page(0, 10, own=[3], collapse=True), judge)
    reader.close()

    assert (page.rows.tolist(), counted.asked) == ([0, 1], 1)


def test_a_chain_of_alike_is_no_group():
    """What is like a picture that is not shown, but not like one that is, is shown."""
    assert alike(on_an_arc(np.array([0, 10, 20]))) == [[0, 1], [2]]
    assert alike(on_an_arc(np.array([0, 10, 20])), known=1) == [[1]]
    assert alike(on_an_arc(np.array([0, 10, 20])), known=2) == []
