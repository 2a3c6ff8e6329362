"""The tables of rows.sqlite: which picture belongs to each row of the vectors, and what is known of it.

`carried` holds fields that came with pictures from another collection; they are kept to be exported again.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from cachetools import LRUCache

from imagetext.index.rows import PictureRow, encode_path
from imagetext.wire.errors import IndexVersionError, NotFound
from imagetext.wire.search_filter import tag_key

CACHED_ROWS = 10_000  # about 10 MB: some pictures answer many queries, and reading them takes as long as the search

Carried = Iterable[tuple[int, Mapping[str, Any]]]
"""Row numbers with their carried fields, which JSON can express; rows without such fields are left out."""

_COLUMNS = "row, id, path, sha256, bytes, mtime_ns, width, height, taken, tags, captions"
_CREATE = (
    """
CREATE TABLE pictures (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    path BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    taken TEXT,
    tags TEXT NOT NULL,
    captions TEXT NOT NULL
)""",
    # (tag_key(tag), row) of each tag of each picture
    "CREATE TABLE tags (tag TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (tag, row)) WITHOUT ROWID",
    # contentless: it holds only the inverted lists, the texts are in `pictures`
    """
CREATE VIRTUAL TABLE texts USING fts5(
    captions, tags, path, content='', tokenize='porter unicode61 remove_diacritics 2'
)""",
)
# Created after the rows are in, which is faster. The first covers every filter on a number or time, so that a filter
# that cannot use its order still reads only a tenth of the table.
_CREATE_INDEXES = (
    "CREATE INDEX measures ON pictures (taken, mtime_ns, bytes, width, height)",
    "CREATE INDEX paths ON pictures (path)",
    "INSERT INTO texts (texts) VALUES ('optimize')",
)
_INSERT_PICTURE = f"INSERT INTO pictures ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_TAG = "INSERT OR IGNORE INTO tags VALUES (?, ?)"
_INSERT_TEXTS = "INSERT INTO texts (rowid, captions, tags, path) VALUES (?, ?, ?, ?)"
_SELECT = f"SELECT {_COLUMNS} FROM pictures"

_CREATE_CARRIED = "CREATE TABLE carried (row INTEGER PRIMARY KEY, fields TEXT NOT NULL)"
_HAS_CARRIED = "SELECT count(*) FROM sqlite_master WHERE name = 'carried'"


def write_rows(path: Path, rows: Iterable[PictureRow], carried: Carried | None = None) -> None:
    """Write a new file.

    Raises:
        IndexVersionError: two rows have the same path, or the disk is full.
    """
    with _writing(path) as connection:
        fill(connection, rows)
        if carried is not None:
            connection.execute(_CREATE_CARRIED)
            texts = ((row, json.dumps(dict(fields))) for row, fields in carried)
            connection.executemany("INSERT INTO carried VALUES (?, ?)", texts)


def fill(connection: sqlite3.Connection, rows: Iterable[PictureRow]) -> None:
    """Create the tables in an empty database, with these rows. Raises sqlite3.Error."""
    rows = list(rows)
    for statement in _CREATE:
        connection.execute(statement)
    connection.executemany(_INSERT_PICTURE, map(_to_fields, rows))
    connection.executemany(_INSERT_TAG, ((tag_key(tag), row.row) for row in rows for tag in row.tags))
    connection.executemany(
        _INSERT_TEXTS,
        ((row.row, "\n".join(row.captions), "\n".join(row.tags), row.shown_path) for row in rows),
    )
    for statement in _CREATE_INDEXES:
        connection.execute(statement)


class RowFile:
    """One read-only connection, which threads take in turn."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """`name` is for error messages."""
        self._name = name
        self._lock = threading.Lock()
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises IndexVersionError if SQLite cannot open `path`."""
        # Immutable: no locks and no journal, so a read-only volume is enough, and the file may be unlinked while open.
        address = f"file:{quote(bytes(path.absolute()))}?mode=ro&immutable=1"
        name = f"{path.name} of index version {path.parent.name}"
        try:
            return cls(sqlite3.connect(address, uri=True, check_same_thread=False), name)
        except sqlite3.Error as error:
            raise _damaged(name) from error

    def fetch(self, select: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a statement finds.

        Raises:
            IndexVersionError: the file is damaged.
            OverflowError, UnicodeEncodeError: SQLite cannot store one of the values.
        """
        try:
            with self._lock:
                return self._connection.execute(select, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # damage may even spoil SQLite's own message
            raise self.damaged() from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def damaged(self) -> IndexVersionError:
        return _damaged(self._name)


class RowTable:
    """The pictures of a finished version, and their carried fields. Read-only and thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises IndexVersionError if `path` is not such a file."""
        self._file = RowFile.open(path)
        self._cache: LRUCache[int, PictureRow] = LRUCache(CACHED_ROWS)
        self._cache_lock = threading.Lock()
        try:
            self.size: int = self._file.fetch("SELECT count(*) FROM pictures")[0][0]
            self._has_carried = bool(self._file.fetch(_HAS_CARRIED)[0][0])
        except IndexVersionError:
            self._file.close()
            raise

    def by_row(self, row: int) -> PictureRow:
        """Raises NotFound."""
        return self._find("row", row)

    def by_id(self, id: str) -> PictureRow:
        """Raises NotFound."""
        return self._find("id", id)

    def by_rows(self, rows: Sequence[int]) -> list[PictureRow]:
        """Several rows in the order in which they are asked for. Raises NotFound if one of them does not exist."""
        with self._cache_lock:
            cached = [self._cache.get(row) for row in rows]
        found = {picture.row: picture for picture in cached if picture is not None}
        missing = [row for row in rows if row not in found]
        if missing:
            read = {picture.row: picture for picture in self._where(f"row IN ({_marks(missing)})", *missing)}
            found |= read
            if not found.keys() >= set(rows):
                raise _not_found()
            with self._cache_lock:
                self._cache.update(read)
        return [found[row] for row in rows]

    def all(self) -> list[PictureRow]:
        """In the order of their rows."""
        return self._pictures(f"{_SELECT} ORDER BY row")

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The carried fields of each of several rows, in this order; empty where there are none."""
        if not self._has_carried:
            return [{} for _ in rows]
        found = dict(self._file.fetch(f"SELECT row, fields FROM carried WHERE row IN ({_marks(rows)})", *rows))
        try:
            return [json.loads(found.get(row, "{}")) for row in rows]
        except ValueError as error:
            raise self._file.damaged() from error

    def close(self) -> None:
        with self._cache_lock:
            self._cache.clear()
        self._file.close()

    def _find(self, column: str, key: int | str) -> PictureRow:
        found = self._where(f"{column} = ?", key)
        if not found:
            raise _not_found()
        return found[0]

    def _where(self, condition: str, *values: int | str) -> list[PictureRow]:
        try:
            return self._pictures(f"{_SELECT} WHERE {condition}", *values)
        except (OverflowError, UnicodeEncodeError):  # SQLite cannot store the value, so no row has it
            return []

    def _pictures(self, select: str, *values: int | str) -> list[PictureRow]:
        found = self._file.fetch(select, *values)
        try:
            return [_from_fields(*fields) for fields in found]
        except (TypeError, ValueError, AttributeError) as error:
            raise self._file.damaged() from error


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # half a file is thrown away, never recovered
        yield connection
        connection.commit()
    except sqlite3.IntegrityError as error:
        raise IndexVersionError("Two pictures of the new index version have the same path or id.") from error
    except sqlite3.Error as error:
        raise IndexVersionError(f"{path.name} cannot be written; the disk may be full.") from error
    finally:
        connection.close()


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _to_fields(row: PictureRow) -> tuple[Any, ...]:
    taken = None if row.taken is None else row.taken.isoformat(timespec="seconds")
    file = (encode_path(row.path), row.sha256, row.bytes, row.mtime_ns)
    return row.row, row.id, *file, row.width, row.height, taken, _dump(row.tags), _dump(row.captions)


def _dump(texts: Sequence[str]) -> str:
    return json.dumps(texts, ensure_ascii=False)


def _from_fields(
    row: int,
    id: str,
    path: bytes,
    sha256: str,
    bytes: int,
    mtime_ns: int,
    width: int,
    height: int,
    taken: str | None,
    tags: str,
    captions: str,
) -> PictureRow:
    return PictureRow(
        row,
        id,
        path.decode("utf-8", "surrogateescape"),
        sha256,
        bytes,
        mtime_ns,
        width,
        height,
        taken=None if taken is None else datetime.fromisoformat(taken),
        tags=tuple(json.loads(tags)),
        captions=tuple(json.loads(captions)),
    )


def _not_found() -> NotFound:
    return NotFound("There is no such picture in the index.")


def _damaged(name: str) -> IndexVersionError:
    return IndexVersionError(f"{name} is damaged.")
