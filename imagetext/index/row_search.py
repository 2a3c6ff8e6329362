"""Which rows pass a filter, which match words best by BM25, and how rankings are fused.

Everything a client sends reaches SQLite as a bound value; words of a full-text search are also quoted, so that none is
read as an operator of FTS5.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.row_tables import RowFile, fill
from imagetext.index.rows import PictureRow, encode_path
from imagetext.wire.search_filter import NumberRange, Period, SearchFilter, moment_end, moment_start

K = 60  # the constant of reciprocal rank fusion in the paper: how little the first ranks stand out
MAX_WORDS = 64  # of a query; the rest is ignored
# English words that most sentences contain: they hardly tell captions apart, and their lists are the longest.
_FREQUENT = """a an the and or of in on at to by for from with into over under up down out off near is are was were be
being it its his her their this that there as while who which"""
STOP_WORDS = frozenset(_FREQUENT.split())
_ORIENTATIONS = {"landscape": "width > height", "portrait": "width < height", "square": "width = height"}

Condition = tuple[str, tuple[object, ...]]
"""A condition of a WHERE clause, with the values of its question marks."""


class RowSearch:
    """Thread-safe, with its own connection, so that a long search does not delay reading rows."""

    def __init__(self, file: RowFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises IndexVersionError if SQLite cannot open `path`."""
        return cls(RowFile.open(path))

    @classmethod
    def of(cls, rows: Iterable[PictureRow]) -> Self:
        """The same in memory, for rows that are in no file yet; takes 30 microseconds per row."""
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        fill(connection, rows)
        return cls(RowFile(connection, "The list of pictures in memory"))

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """The rows (n,) that pass, in no particular order."""
        where, values = _where(filter)
        return _rows(self._file.fetch(f"SELECT row FROM pictures WHERE {where}", *values))

    def ranked(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """Up to `count` rows with at least one of the words in captions, tags or path, by BM25 (Robertson and Zaragoza,
        2009), best first, equal ones by row."""
        words = _quoted(_without_stop_words(text))
        if not words:
            return np.empty(0, dtype=np.int64)
        where: str = ""
        values: tuple[object, ...] = ()
        if filter is not None:
            condition, values = _where(filter)
            # The plus keeps SQLite from looking up each of these rows in the full-text index, which takes seconds.
            where = f"AND +rowid IN (SELECT row FROM pictures WHERE {condition})"
        select = f"SELECT rowid FROM texts WHERE texts MATCH ? {where} ORDER BY bm25(texts), rowid LIMIT ?"
        return _rows(self._file.fetch(select, " OR ".join(words), *values, count))

    def close(self) -> None:
        self._file.close()


def fuse(rankings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Reciprocal rank fusion: all rows of the rankings (each best first, a row once), by the sum of 1 / (K + rank);
    equal ones by row.

    Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods", SIGIR. Only ranks count, so scores of different kinds need not be comparable.
    """
    rows, where = np.unique(np.concatenate(rankings), return_inverse=True)
    shares = np.concatenate([1 / (K + 1 + np.arange(len(ranking))) for ranking in rankings])
    sums = np.bincount(where, weights=shares, minlength=len(rows))
    fused: NDArray[np.int64] = rows[np.argsort(-sums, kind="stable")]
    return fused


def interleave(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two rankings of different rows as one: the best of each, then the second of each, and so on."""
    ranks = np.concatenate([2 * np.arange(len(first)), 2 * np.arange(len(second)) + 1])
    interleaved: NDArray[np.int64] = np.concatenate([first, second])[np.argsort(ranks, kind="stable")]
    return interleaved


def _where(filter: SearchFilter) -> Condition:
    conditions = list(_conditions(filter)) or [("1", ())]
    return " AND ".join(sql for sql, _ in conditions), tuple(value for _, values in conditions for value in values)


def _conditions(filter: SearchFilter) -> Iterator[Condition]:
    for column in ("width", "height", "bytes"):
        yield from _in_range(column, getattr(filter, column))
    if filter.orientation is not None:
        yield _ORIENTATIONS[filter.orientation], ()
    if filter.folder is not None:
        yield from _in_folder(filter.folder)
    if filter.modified is not None:
        yield from _modified(filter.modified)
    if filter.taken is not None:
        yield from _taken(filter.taken)
    for tag in filter.tags or ():
        yield "row IN (SELECT row FROM tags WHERE tag = ?)", (tag,)
    if filter.caption is not None:
        match = f"captions : ({' AND '.join(_quoted(filter.caption))})"
        yield "row IN (SELECT rowid FROM texts WHERE texts MATCH ?)", (match,)


def _in_range(column: str, range: NumberRange | None) -> Iterator[Condition]:
    if range is not None and range.min is not None:
        yield f"{column} >= ?", (range.min,)
    if range is not None and range.max is not None:
        yield f"{column} <= ?", (range.max,)


def _in_folder(folder: str) -> Iterator[Condition]:
    path = encode_path(folder.strip("/"))
    if path:  # "0" comes right after "/", so everything in between begins with the folder
        yield "path > ? AND path < ?", (path + b"/", path + b"0")


def _modified(period: Period) -> Iterator[Condition]:
    if period.first is not None:
        yield "mtime_ns >= ?", (_nanoseconds(moment_start(period.first)),)
    if period.last is not None:
        yield "mtime_ns < ?", (_nanoseconds(moment_end(period.last)),)


def _nanoseconds(moment: datetime) -> int:
    seconds = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return min(max(int(seconds) * 10**9, -(2**63)), 2**63 - 1)  # the range of SQLite's integers


def _taken(period: Period) -> Iterator[Condition]:
    if period.first is not None:
        yield "taken >= ?", (moment_start(period.first).isoformat(),)
    if period.last is not None:
        yield "taken < ?", (moment_end(period.last).isoformat(),)


def _without_stop_words(text: str) -> str:
    """The text without stop words, or all of it if it has no others."""
    return " ".join(word for word in text.split() if word.lower() not in STOP_WORDS) or text


def _quoted(text: str) -> list[str]:
    """The words with a letter or digit, each once, as FTS5 phrases."""
    words = dict.fromkeys(word for word in text.replace("\0", " ").lower().split() if any(map(str.isalnum, word)))
    return ['"' + word.replace('"', '""') + '"' for word in list(words)[:MAX_WORDS]]


def _rows(found: list[tuple[int]]) -> NDArray[np.int64]:
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))
