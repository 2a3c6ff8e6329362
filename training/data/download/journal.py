"""What became of every address, on disk as soon as it is known: a killed run loses only what was under way."""

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from imagetext.errors import Unavailable
from training.data.content import Content
from training.data.download.reasons import Lost, Reason

_CREATE = """
CREATE TABLE IF NOT EXISTS addresses (
    address TEXT PRIMARY KEY, reason TEXT NOT NULL, detail TEXT NOT NULL, bytes INTEGER NOT NULL, path TEXT NOT NULL,
    origin TEXT NOT NULL, width INTEGER, height INTEGER, sha256 TEXT, dhash TEXT, phash TEXT
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address that was asked: either a picture (`content` and `path`) or the reason why there is none.

    `origin` is the sha256 of the bytes that lay there; the kept file may be a smaller one.
    """

    address: str
    reason: Reason | None = None
    detail: str = ""
    bytes: int = 0
    path: str = ""
    origin: str = ""
    content: Content | None = None

    @classmethod
    def lost(cls, address: str, lost: Lost) -> Self:
        return cls(address, lost.reason, lost.detail)


class Journal:
    """Belongs to the thread that opened it, and to one process at a time."""

    def __init__(self, file: Path) -> None:
        """Open or begin. Raises Unavailable when another process has it open, or it is damaged."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # What is written survives the end of the process; only a power failure may cost the last moments.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_CREATE)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"Another run writes into {file.parent}, or nobody may.") from error
            raise Unavailable(f"{file} is damaged; without it, everything is fetched anew.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def find(self, address: str) -> Entry | None:
        found = self._connection.execute("SELECT * FROM addresses WHERE address = ?", (address,)).fetchone()
        if found is None:
            return None
        address, reason, detail, size, path, origin, *content = found
        return Entry(
            address,
            Reason.named(reason) if reason else None,
            detail,
            size,
            path,
            origin,
            Content(*content) if content[0] is not None else None,
        )

    def add(self, entry: Entry) -> None:
        """Replaces what was known of the address."""
        content = list(asdict(entry.content).values()) if entry.content else [None] * 5
        reason = entry.reason.label if entry.reason else ""
        row = [entry.address, reason, entry.detail, entry.bytes, entry.path, entry.origin, *content]
        self._connection.execute(f"INSERT OR REPLACE INTO addresses VALUES ({', '.join('?' * len(row))})", row)

    def add_all(self, entries: Iterable[Entry]) -> None:
        """The same for many at once."""
        self._connection.execute("BEGIN")
        for entry in entries:
            self.add(entry)
        self._connection.execute("COMMIT")
