"""Filters and words find rows inside the index, whatever a stranger sends."""

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from imagetext.index import IndexReader, PictureRow, picture_id
from imagetext.index.row_search import RowSearch
from imagetext.index.row_tables import RowTable, write_rows
from imagetext.wire.search_filter import SearchFilter, moment_end

SECOND = 10**9


def row_of(number, path, **known):
    mtime = int(datetime(2024, 1, 1 + number, 12, tzinfo=UTC).timestamp()) * SECOND
    fields = {"bytes": 1000 * (number + 1), "width": 640, "height": 480} | known
    width, height = fields.pop("width"), fields.pop("height")
    return PictureRow(
        number, picture_id(path), path, f"{number:064x}", fields.pop("bytes"), mtime, width, height, **fields
    )


ROWS = [
    row_of(0, "a.jpg", taken=datetime(2023, 12, 31, 23, 59, 59), tags=("Dog", "snow"), captions=("A dog runs.",)),
    row_of(1, "trip/2024/b.jpg", taken=datetime(2024, 1, 1), tags=("dog",), captions=("Two dogs on a beach.", "Dogs")),
    row_of(2, "trip/2024/lake/c.jpg", taken=datetime(2024, 5, 31, 18, 30, 5), width=480, captions=("A café",)),
    row_of(
        3, "trip/2024b/d.jpg", tags=("KÖLN am Rhein",), width=300, height=400, captions=("Snow on a red-roofed hut",)
    ),
    row_of(4, "trip/z\udcff.jpg", taken=datetime(2025, 1, 1), width=10, height=10),
]


@pytest.fixture
def search(tmp_path):
    write_rows(tmp_path / "rows.sqlite", ROWS)
    with closing(RowSearch.open(tmp_path / "rows.sqlite")) as search:
        yield search


def matching(search, **filter):
    return sorted(search.matching(SearchFilter.model_validate(filter)).tolist())


def test_rows_come_back_with_what_is_known_of_them(tmp_path):
    """Times, tags and captions as they were written."""
    write_rows(tmp_path / "rows.sqlite", ROWS)
    with closing(RowTable(tmp_path / "rows.sqlite")) as table:
        assert table.all() == ROWS


@pytest.mark.parametrize(
    ("filter", "rows"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"taken": {"from": "2024", "to": "2024"}}, [1, 2]),
        ({"taken": {"to": "2023-12"}}, [0]),
        ({"taken": {"from": "2024-05-31", "to": "2024-05-31"}}, [2]),
        ({"taken": {"from": "2024-05-31T18:30:06"}}, [4]),
        ({"taken": {"from": "2024-05-31T18:30", "to": "2024-05-31T18:30"}}, [2]),
        ({"taken": {"from": "2025", "to": "2024"}}, []),
        ({"taken": {}}, [0, 1, 2, 3, 4]),
        ({"modified": {"from": "2024-01-03T12:00", "to": "2024-01-04"}}, [2, 3]),
        ({"modified": {"from": "2024-01-03T12:00:01"}}, [3, 4]),
        ({"modified": {"to": "9999"}}, [0, 1, 2, 3, 4]),
        ({"modified": {"from": "0001"}}, [0, 1, 2, 3, 4]),
        ({"width": {"min": 300, "max": 480}}, [2, 3]),
        ({"height": {"max": 400}}, [3, 4]),
        ({"bytes": {"min": 4000}}, [3, 4]),
        ({"orientation": "landscape"}, [0, 1]),
        ({"orientation": "portrait"}, [3]),
        ({"orientation": "square"}, [2, 4]),
        ({"folder": "trip/2024"}, [1, 2]),
        ({"folder": "/trip/2024/"}, [1, 2]),
        ({"folder": "trip"}, [1, 2, 3, 4]),
        ({"folder": ""}, [0, 1, 2, 3, 4]),
        ({"folder": "trip/2024/b.jpg"}, []),
        ({"folder": "%"}, []),
        ({"tags": ["dog"]}, [0, 1]),
        ({"tags": ["DOG", "Snow"]}, [0]),
        ({"tags": ["köln  am rhein"]}, [3]),
        ({"tags": ["köln"]}, []),
        ({"tags": []}, [0, 1, 2, 3, 4]),
        ({"caption": "dog"}, [0, 1]),
        ({"caption": "Dogs beach"}, [1]),
        ({"caption": "cafe"}, [2]),
        ({"caption": "red-roofed hut!"}, [3]),
        ({"caption": "red-hut"}, []),
        ({"caption": "snow"}, [3]),  # the tag is no caption
        ({"tags": ["dog"], "folder": "trip", "caption": "two", "taken": {"from": "2024"}}, [1]),
    ],
)
def test_filters(search, filter, rows):
    """Each alone, and all together."""
    assert matching(search, **filter) == rows


OPERATORS = ['"', 'dog"', '" OR tags : "', "dog OR snow", "NEAR(dog, 2)", "dog NOT beach", "-dog", "tags : dog", "dog*"]


@pytest.mark.parametrize("words", [*OPERATORS, "dog\0", "(dog", "^dog", "dog AND"])
def test_words_are_only_words(search, words):
    """No operator of full text search gets through, and none is an error."""
    if any(map(str.isalnum, words)):
        found = matching(search, caption=words)
        assert set(found) <= {0, 1}
    search.ranked(words, 10)


@pytest.mark.parametrize("text", ["'; DROP TABLE pictures; --", "\\", "' OR 1=1 --", "x" * 200])
def test_values_are_only_values(search, text):
    """No SQL gets through."""
    assert matching(search, tags=[text]) == []
    assert matching(search, folder=text) == []
    assert matching(search, orientation="square") == [2, 4]


@pytest.mark.parametrize(
    "filter",
    [
        {"colour": "red"},
        {"taken": {"since": "2024"}},
        {"taken": {"from": "2024-13"}},
        {"taken": {"from": "2024-00"}},
        {"taken": {"from": "0000"}},
        {"taken": {"from": "2024-02-30"}},
        {"taken": {"from": "2024-05-31T18:30:00Z"}},
        {"taken": {"from": "٢٠٢٤"}},
        {"taken": {"from": 2024}},
        {"taken": {"to": "today"}},
        {"width": {"min": -1}},
        {"width": {"min": 2**60}},
        {"bytes": 5},
        {"orientation": "round"},
        {"tags": [""]},
        {"tags": ["x"] * 21},
        {"tags": "dog"},
        {"caption": ""},
        {"caption": ' -." '},
        {"caption": "x" * 501},
    ],
)
def test_filters_that_make_no_sense_are_refused(filter):
    """Also what is merely misspelt: a filter that is not understood must not find everything."""
    with pytest.raises(ValidationError):
        SearchFilter.model_validate(filter)


def test_a_filter_survives_being_sent_on():
    """By the names that came in; the same tags in another order are the same filter."""
    sent = '{"taken":{"from":"2024","to":"2024-05"},"tags":["a","b"]}'
    filter = SearchFilter.model_validate_json(sent)

    assert filter.model_dump_json(exclude_none=True) == sent
    assert SearchFilter(tags=["B", "a", "A"]) == SearchFilter(tags=["a", "b"])


def test_the_last_moment_has_an_end():
    """No year comes after 9999."""
    assert moment_end("9999") == moment_end("9999-12-31") == datetime.max


def test_words_rank_rows(search):
    """By captions, tags and paths; the row with more of the rarer words comes first."""
    assert search.ranked("a dog on the beach", 10).tolist() == [1, 0]
    assert search.ranked("snow", 10).tolist() == [0, 3]
    assert search.ranked("lake", 10).tolist() == [2]
    assert search.ranked("dog beach snow lake", 2).tolist()[0] in (1, 2)
    assert len(search.ranked("dog beach snow lake", 2)) == 2


def test_words_rank_within_a_filter(search):
    """Only what passes is ranked."""
    assert search.ranked("dog", 10, SearchFilter(folder="trip")).tolist() == [1]
    assert search.ranked("dog", 10, SearchFilter(folder="nowhere")).tolist() == []


def test_words_that_stand_everywhere_count_only_alone(search):
    """`the` finds nothing beside better words; alone it is looked up."""
    assert search.ranked("a", 10).tolist() != []
    assert search.ranked("a hut", 10).tolist() == [3]
    assert search.ranked("", 10).tolist() == search.ranked("?!", 10).tolist() == []


def test_very_long_queries_are_answered(search):
    """Thousands of different words."""
    assert 0 in search.ranked("dog " + " ".join(f"w{number}" for number in range(5_000)), 10)


def test_a_filter_narrows_a_search(index):
    """What the reader finds among allowed rows are the nearest of these, in every order of asking."""
    index.paths = [f"{number % 4}/{number:03}.jpg" for number in range(80)]
    rows = [replace(row, tags=("even",) if row.row % 2 == 0 else ()) for row in index.rows()]
    index.rows = lambda: rows
    with closing(IndexReader.open(index.version_folder(index.write()), verify=True)) as reader:
        query = index.vectors(seed=4)[:1]
        allowed = reader.matching(SearchFilter(tags=["even"], folder="2"))
        scores, found = reader.search(query, 80, allowed)
        whole = [row for row in reader.search(query, 80)[1][0] if rows[row].tags and rows[row].path.startswith("2/")]

        assert found[0].tolist() == whole
        assert np.allclose(reader.score(query[0], found[0]), scores[0], atol=1e-6)
        assert reader.search(query, 5, reader.matching(SearchFilter(tags=["odd"])))[1].shape == (1, 0)


def test_a_long_list_of_rows_passes(tmp_path):
    """More rows than SQLite takes marks in a statement are no trouble."""
    write_rows(tmp_path / "rows.sqlite", [replace(row_of(0, f"{row:06}.jpg"), row=row) for row in range(40_000)])
    with closing(RowSearch.open(tmp_path / "rows.sqlite")) as search:
        assert len(search.matching(SearchFilter(width={"min": 1}))) == 40_000


def test_searching_outlives_the_file(search, tmp_path):
    """A version may be pruned while a replica still answers from it."""
    shutil.rmtree(tmp_path)

    assert matching(search, caption="dog") == [0, 1]
    assert search.ranked("beach", 10).tolist() == [1]


def test_rows_in_memory_are_searched_alike():
    """Pictures that are in no version yet, with numbers that follow those of one."""
    with closing(RowSearch.of([replace(row, row=100 + row.row) for row in ROWS])) as search:
        assert matching(search, tags=["dog"], folder="trip") == [101]
        assert search.ranked("a dog on the beach", 10).tolist() == [101, 100]
    with closing(RowSearch.of([])) as search:
        assert matching(search) == search.ranked("dog", 10).tolist() == []
