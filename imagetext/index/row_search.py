"""Which rows pass a filter, and which fit words best by BM25, from rows.sqlite.

Everything that a stranger sends goes to SQLite as a bound value; words of a full text search are quoted besides, so
that none is read as an operator of FTS5.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.rows import PictureRow, RowFile, encode_path, fill
from imagetext.wire.search_filter import NumberRange, Period, SearchFilter, moment_end, moment_start

MOST_WORDS = 64  # of a query are looked up
# English words that stand in most sentences: they hardly tell captions apart, and their lists are the longest.
_FREQUENT = """a an the and or of in on at to by for from with into over under up down out off near is are was were be
being it its his her their this that there as while who which"""
STOP_WORDS = frozenset(_FREQUENT.split())
_ORIENTATIONS = {"landscape": "width > height", "portrait": "width < height", "square": "width = height"}
_NOWHERE = ("0", ())

Condition = tuple[str, tuple[object, ...]]  # of a WHERE clause, with the values of its marks


class RowSearch:
    """Has its own connection, so that a long search holds up no look at a row; may be used by several threads."""

    def __init__(self, file: RowFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises IndexVersionError when `path` is no such file."""
        return cls(RowFile.open(path))

    @classmethod
    def of(cls, rows: Iterable[PictureRow]) -> Self:
        """The same for rows that are in no file yet, with whatever numbers; takes 30 microseconds for each."""
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        fill(connection, rows)
        return cls(RowFile(connection, "The list of pictures in memory"))

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """The rows that pass, in no particular order. In versions before format 3 none has a time, a tag or a
        caption."""
        where, values = self._where(filter)
        return _rows(self._file.fetch(f"SELECT row FROM pictures WHERE {where}", *values))

    def ranked(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """Up to `count` rows with one of the words in captions, tags or path, by BM25 (Robertson and Zaragoza, 2009),
        best first, equal ones by their row."""
        words = _quoted(_telling(text))
        if not words or not self._file.described:
            return np.empty(0, dtype=np.int64)
        where: str = ""
        values: tuple[object, ...] = ()
        if filter is not None:
            condition, values = self._where(filter)
            # the plus keeps SQLite from asking the full text index for each of these rows, which takes seconds
            where = f"AND +rowid IN (SELECT row FROM pictures WHERE {condition})"
        select = f"SELECT rowid FROM texts WHERE texts MATCH ? {where} ORDER BY bm25(texts), rowid LIMIT ?"
        return _rows(self._file.fetch(select, " OR ".join(words), *values, count))

    def close(self) -> None:
        self._file.close()

    def _where(self, filter: SearchFilter) -> Condition:
        conditions = list(self._conditions(filter)) or [("1", ())]
        return " AND ".join(sql for sql, _ in conditions), tuple(value for _, values in conditions for value in values)

    def _conditions(self, filter: SearchFilter) -> Iterator[Condition]:
        for column in ("width", "height", "bytes"):
            yield from _within(column, getattr(filter, column))
        if filter.orientation is not None:
            yield _ORIENTATIONS[filter.orientation], ()
        if filter.folder is not None:
            yield from _below(filter.folder)
        if filter.modified is not None:
            yield from _modified(filter.modified)
        described = [*_taken(filter.taken), *_tagged(filter.tags or ()), *_captioned(filter.caption)]
        yield from described if self._file.described or not described else [_NOWHERE]


def _within(column: str, range: NumberRange | None) -> Iterator[Condition]:
    if range is not None and range.min is not None:
        yield f"{column} >= ?", (range.min,)
    if range is not None and range.max is not None:
        yield f"{column} <= ?", (range.max,)


def _below(folder: str) -> Iterator[Condition]:
    path = encode_path(folder.strip("/"))
    if path:  # "0" comes after "/": what lies between begins with the folder
        yield "path > ? AND path < ?", (path + b"/", path + b"0")


def _modified(period: Period) -> Iterator[Condition]:
    if period.first is not None:
        yield "mtime_ns >= ?", (_nanoseconds(moment_start(period.first)),)
    if period.last is not None:
        yield "mtime_ns < ?", (_nanoseconds(moment_end(period.last)),)


def _nanoseconds(moment: datetime) -> int:
    seconds = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return min(max(int(seconds) * 10**9, -(2**63)), 2**63 - 1)  # what SQLite holds


def _taken(period: Period | None) -> Iterator[Condition]:
    if period is not None and period.first is not None:
        yield "taken >= ?", (moment_start(period.first).isoformat(),)
    if period is not None and period.last is not None:
        yield "taken < ?", (moment_end(period.last).isoformat(),)


def _tagged(tags: "list[str] | tuple[()]") -> Iterator[Condition]:
    for tag in tags:
        yield "row IN (SELECT row FROM tags WHERE tag = ?)", (tag,)


def _captioned(words: str | None) -> Iterator[Condition]:
    if words is not None:
        match = f"captions : ({' AND '.join(_quoted(words))})"
        yield "row IN (SELECT rowid FROM texts WHERE texts MATCH ?)", (match,)


def _telling(text: str) -> str:
    """The text without stop words, or all of it where there are no others."""
    return " ".join(word for word in text.split() if word.lower() not in STOP_WORDS) or text


def _quoted(text: str) -> list[str]:
    """The words that have a letter or digit, each once, as phrases of FTS5."""
    words = dict.fromkeys(word for word in text.replace("\0", " ").lower().split() if any(map(str.isalnum, word)))
    return ['"' + word.replace('"', '""') + '"' for word in list(words)[:MOST_WORDS]]


def _rows(found: list[tuple[int]]) -> NDArray[np.int64]:
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))
