"""rows.sqlite: which picture stands behind each row of the vectors."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imagetext.errors import IndexVersionError, NotFound

_CREATE = """
CREATE TABLE pictures (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    path BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL
)"""
_UNKNOWN = "unknown-"
_SELECT = "SELECT row, id, path, sha256, bytes, mtime_ns, width, height FROM pictures"


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
    file's content, `width` and `height` are those of the upright picture. Of a picture that was imported without its
    file, `sha256` is `unknown_content(id)`, `bytes` and `mtime_ns` are 0, and so is the size unless it was told.
    """

    row: int
    id: str
    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    width: int
    height: int

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
        connection.execute(_CREATE)
        connection.executemany(
            "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((row.row, row.id, encode_path(row.path), *astuple(row)[3:]) for row in rows),
        )
        connection.commit()
    except sqlite3.IntegrityError as error:
        raise IndexVersionError("Two pictures of the new index version have the same path or id.") from error
    except sqlite3.Error as error:
        raise IndexVersionError(f"{path.name} cannot be written; the disk may be full.") from error
    finally:
        connection.close()


class RowTable:
    """The rows of a finished version, read-only; may be used by several threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises IndexVersionError when `path` is no such file."""
        # Immutable: no locks and no journal, so a read-only volume will do, and the file may be unlinked while open.
        address = f"file:{quote(bytes(path.absolute()))}?mode=ro&immutable=1"
        self._path = path
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._damaged() from error
        self.size: int = self._fetch("SELECT count(*) FROM pictures")[0][0]

    def by_row(self, row: int) -> PictureRow:
        return self._find("row", row)

    def by_rows(self, rows: Sequence[int]) -> list[PictureRow]:
        """Several rows in the order in which they are asked for. Raises NotFound when one of them is not there."""
        marks = ",".join("?" * len(rows))
        found = {fields[0]: fields for fields in self._select(f"row IN ({marks})", *rows)}
        if not found.keys() >= set(rows):
            raise NotFound("There is no such picture in the index.")
        return [_to_row(found[row]) for row in rows]

    def by_id(self, id: str) -> PictureRow:
        return self._find("id", id)

    def all(self) -> list[PictureRow]:
        return [_to_row(fields) for fields in self._fetch(f"{_SELECT} ORDER BY row")]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _find(self, column: str, key: int | str) -> PictureRow:
        found = self._select(f"{column} = ?", key)
        if not found:
            raise NotFound("There is no such picture in the index.")
        return _to_row(found[0])

    def _select(self, condition: str, *keys: int | str) -> list[tuple[Any, ...]]:
        try:
            return self._fetch(f"{_SELECT} WHERE {condition}", *keys)
        except (OverflowError, UnicodeEncodeError):  # a key that could not even be stored
            return []

    def _fetch(self, select: str, *keys: int | str) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(select, keys).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # damage may even spoil SQLite's own message
            raise self._damaged() from error

    def _damaged(self) -> IndexVersionError:
        return IndexVersionError(f"{self._path.name} of index version {self._path.parent.name} is damaged.")


def _to_row(fields: tuple[Any, ...]) -> PictureRow:
    row, id, path, *rest = fields
    return PictureRow(row, id, path.decode("utf-8", "surrogateescape"), *rest)
