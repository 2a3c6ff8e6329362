"""rows.sqlite of a finished version, open for reading, or the same tables in memory."""

import sqlite3
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from imagetext.errors import IndexVersionError
from imagetext.index.row_schema import DESCRIPTION


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
