"""rows.sqlite of a finished version, open for reading, or the same tables in memory.

rows.sqlite: which picture stands behind each row of the vectors, and what is known of it.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from imagetext.index import row_schema
from imagetext.index.row_schema import DESCRIPTION
from imagetext.wire.errors import IndexVersionError, NotFound
from imagetext.wire.search_filter import tag_key


class RowFile:
    """One connection, which threads take in turns. `described` is false in versions before format 3."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """`name` is for sentences. Raises IndexVersionError when these are no such tables."""
        self._name = name
        self._lock = threading.Lock()
        self._connection = connection
        self.described = set(DESCRIPTION) <= {column[1] for column in self.fetch("PRAGMA table_info (pictures)")}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises IndexVersionError when `path` is no such file."""
        # Immutable: no locks and no journal, so a read-only volume will do, and the file may be unlinked while open.
        address = f"file:{quote(bytes(path.absolute()))}?mode=ro&immutable=1"
        name = f"{path.name} of index version {path.parent.name}"
        try:
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise _damaged(name) from error
        try:
            return cls(connection, name)
        except IndexVersionError:
            connection.close()
            raise

    def fetch(self, select: str, *keys: object) -> list[tuple[Any, ...]]:
        """All that a statement finds.

        Raises:
            IndexVersionError: the file is damaged.
            OverflowError, UnicodeEncodeError: a key that could not even be stored.
        """
        try:
            with self._lock:
                return self._connection.execute(select, keys).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # damage may even spoil SQLite's own message
            raise self.damaged() from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def damaged(self) -> IndexVersionError:
        return _damaged(self._name)


def _damaged(name: str) -> IndexVersionError:
    return IndexVersionError(f"{name} is damaged.")


KEPT = 10_000  # rows in memory, about 10 MB: some pictures answer many questions, and SQLite takes as long as FAISS

_UNKNOWN = "unknown-"


def picture_id(path: str) -> str:
    """The lasting id of a picture: it changes when the file is moved, not when its content does."""
    return hashlib.sha256(encode_path(path)).hexdigest()[:16]


def encode_path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def unknown_content(id: str) -> str:
    """What stands for the sha256 of a file that nobody has seen; no two pictures share it."""
    return _UNKNOWN + id


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One indexed picture.

    `path` is relative to the indexed folder, with forward slashes; bytes that are not UTF-8 stand in it as lone
    surrogates, so it always opens the file but may not be encodable: show `shown_path`. `sha256` is that of the
    file's content, `width` and `height` are those of the upright picture. `taken` is the time on the camera's clock,
    without a zone. `tags` and `captions` are plain Unicode, see `imagetext.index.texts`. Of a picture that was imported
    without its file, `sha256` is `unknown_content(id)`, `bytes` and `mtime_ns` are 0, and so is the size unless it was
    told.
    """

    row: int
    id: str
    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    width: int
    height: int
    taken: datetime | None = None
    tags: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    @property
    def was_seen(self) -> bool:
        """Whether the file was there when the picture was indexed."""
        return not self.sha256.startswith(_UNKNOWN)

    @property
    def shown_path(self) -> str:
        """`path` as plain Unicode for replies and logs."""
        return encode_path(self.path).decode("utf-8", "replace")


def write_rows(path: Path, rows: Iterable[PictureRow]) -> None:
    """Write a new file with all the rows.

    Raises:
        IndexVersionError: two rows have the same path, or the disk is full.
    """
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # half a file is thrown away, never recovered
        fill(connection, rows)
        connection.commit()
    except sqlite3.IntegrityError as error:
        raise IndexVersionError("Two pictures of the new index version have the same path or id.") from error
    except sqlite3.Error as error:
        raise IndexVersionError(f"{path.name} cannot be written; the disk may be full.") from error
    finally:
        connection.close()


def fill(connection: sqlite3.Connection, rows: Iterable[PictureRow]) -> None:
    """Make the tables of `row_schema` in an empty database, with these rows. Raises sqlite3.Error."""
    rows = list(rows)
    for statement in row_schema.CREATE:
        connection.execute(statement)
    connection.executemany(row_schema.INSERT_PICTURE, map(_fields, rows))
    connection.executemany(row_schema.INSERT_TAG, _tags(rows))
    connection.executemany(
        row_schema.INSERT_TEXTS,
        ((row.row, "\n".join(row.captions), "\n".join(row.tags), row.shown_path) for row in rows),
    )
    for statement in row_schema.INDEX:
        connection.execute(statement)


class RowTable:
    """The rows of a finished version, read-only; may be used by several threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises IndexVersionError when `path` is no such file."""
        self._file = RowFile.open(path)
        self._kept: dict[int, PictureRow] = {}
        self._select = row_schema.SELECT if self._file.described else row_schema.SELECT_OLD
        try:
            self.size: int = self._file.fetch("SELECT count(*) FROM pictures")[0][0]
        except IndexVersionError:
            self._file.close()
            raise

    def by_row(self, row: int) -> PictureRow:
        return self._find("row", row)

    def by_rows(self, rows: Sequence[int]) -> list[PictureRow]:
        """Several rows in the order in which they are asked for. Raises NotFound when one of them is not there."""
        kept = [self._kept.get(row) for row in rows]  # one look each: another thread may clear it
        found = {each.row: each for each in kept if each is not None}
        missing = [row for row in rows if row not in found]
        if missing:
            marks = ",".join("?" * len(missing))
            found |= {picture.row: picture for picture in self._where(f"row IN ({marks})", *missing)}
            if not found.keys() >= set(rows):
                raise NotFound("There is no such picture in the index.")
            self._keep(found)
        return [found[row] for row in rows]

    def by_id(self, id: str) -> PictureRow:
        return self._find("id", id)

    def all(self) -> list[PictureRow]:
        return self._pictures(f"{self._select} ORDER BY row")

    def close(self) -> None:
        self._kept.clear()
        self._file.close()

    def _keep(self, found: Mapping[int, PictureRow]) -> None:
        if len(self._kept) + len(found) > KEPT:
            self._kept.clear()  # what is asked for often is soon back
        self._kept.update(found)

    def _find(self, column: str, key: int | str) -> PictureRow:
        found = self._where(f"{column} = ?", key)
        if not found:
            raise NotFound("There is no such picture in the index.")
        return found[0]

    def _where(self, condition: str, *keys: int | str) -> list[PictureRow]:
        try:
            return self._pictures(f"{self._select} WHERE {condition}", *keys)
        except (OverflowError, UnicodeEncodeError):  # a key that could not even be stored
            return []

    def _pictures(self, select: str, *keys: int | str) -> list[PictureRow]:
        found = self._file.fetch(select, *keys)
        try:
            return [_to_row(fields) for fields in found]
        except (TypeError, ValueError, AttributeError) as error:
            raise self._file.damaged() from error


def _fields(row: PictureRow) -> tuple[Any, ...]:
    taken = None if row.taken is None else row.taken.isoformat(timespec="seconds")
    file = (encode_path(row.path), row.sha256, row.bytes, row.mtime_ns)
    return row.row, row.id, *file, row.width, row.height, taken, _dump(row.tags), _dump(row.captions)


def _tags(rows: Iterable[PictureRow]) -> Iterator[tuple[str, int]]:
    for row in rows:
        yield from ((tag_key(tag), row.row) for tag in row.tags)


def _dump(texts: Sequence[str]) -> str:
    return json.dumps(texts, ensure_ascii=False)


def _to_row(fields: tuple[Any, ...]) -> PictureRow:
    row, id, path, sha256, bytes, mtime_ns, width, height, taken, tags, captions = fields
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
