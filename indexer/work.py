"""Vectors that are encoded but not yet in a published version, so that a killed build need not start over."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.rows import encode_path
from imagetext.pictures import FileMetadata
from indexer.scan import FoundFile

_FOLDER = "work"
_FILE = "encoded.sqlite"
_ENCODED = """
CREATE TABLE IF NOT EXISTS encoded (
    fingerprint TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (fingerprint, sha256)
)"""
_LOOKS = """
CREATE TABLE IF NOT EXISTS looks (
    root BLOB NOT NULL,
    path BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (root, path)
) WITHOUT ROWID"""
_METADATA = "CREATE TABLE IF NOT EXISTS metadata (sha256 TEXT PRIMARY KEY, taken TEXT, tags TEXT NOT NULL)"
_CAPTIONS = """
CREATE TABLE IF NOT EXISTS captions (
    captioner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    captions TEXT NOT NULL,
    PRIMARY KEY (captioner, sha256)
)"""


class WorkFile:
    """Encoded pictures by the sha256 of their content, for one encoder. Belongs to the thread that opened it.

    `sizes` gives the upright (width, height) of each, and may be read by all threads. It also remembers how the files
    of one place looked that had which content, so that they need not be read again to know it. `metadata` is what the
    files of each content say of themselves.
    """

    def __init__(
        self, connection: sqlite3.Connection, folder: Path, fingerprint: str, dimensions: int, root: str
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._fingerprint = fingerprint
        self._root = encode_path(root)
        found = connection.execute(
            "SELECT sha256, width, height FROM encoded WHERE fingerprint = ? AND length(vector) = ?",
            (fingerprint, 4 * dimensions),
        )
        self.sizes: dict[str, tuple[int, int]] = {sha256: (width, height) for sha256, width, height in found}
        written = connection.execute("SELECT sha256, taken, tags FROM metadata")
        self.metadata: dict[str, FileMetadata] = {sha256: _metadata(*fields) for sha256, *fields in written}
        looks = connection.execute("SELECT path, bytes, mtime_ns, sha256 FROM looks WHERE root = ?", (self._root,))
        self._looks: dict[bytes, tuple[int, int, str]] = {path: tuple(look) for path, *look in looks}

    @classmethod
    def open(cls, index: Path, fingerprint: str, dimensions: int, root: str) -> Self:
        """Open what an earlier build left, or begin anew when there is nothing or it is damaged."""
        folder = index / _FOLDER
        try:
            return cls(_connect(folder), folder, fingerprint, dimensions, root)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # a full disk or the like, not damage
                raise
            for file in folder.glob(f"{_FILE}*"):  # with its journal; a cluster's parts lie beside them
                file.unlink()
            return cls(_connect(folder), folder, fingerprint, dimensions, root)

    def add(self, sha256: str, size: tuple[int, int], vector: NDArray[np.float32]) -> None:
        self.sizes[sha256] = size
        self._connection.execute(
            "INSERT OR REPLACE INTO encoded VALUES (?, ?, ?, ?, ?)",
            (self._fingerprint, sha256, *size, vector.astype(np.float32).tobytes()),
        )

    def saw(self, file: FoundFile, sha256: str, metadata: FileMetadata) -> None:
        """Remember the content of a file by its looks, and what it says of itself."""
        self.metadata[sha256] = metadata
        taken = None if metadata.taken is None else metadata.taken.isoformat()
        self._connection.execute(
            "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)", (sha256, taken, json.dumps(metadata.tags))
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)",
            (self._root, encode_path(file.path), file.bytes, file.mtime_ns, sha256),
        )

    def content(self, file: FoundFile) -> str | None:
        """The sha256 of a file that looks as it did when an earlier build read it, if that was encoded."""
        *look, sha256 = self._looks.get(encode_path(file.path), (None, None, ""))
        known = sha256 in self.sizes and sha256 in self.metadata
        return sha256 if known and look == [file.bytes, file.mtime_ns] else None

    def add_captions(self, captioner: str, sha256: str, captions: Sequence[str]) -> None:
        """What the captioner of this fingerprint wrote."""
        values = (captioner, sha256, json.dumps(captions))
        self._connection.execute("INSERT OR REPLACE INTO captions VALUES (?, ?, ?)", values)

    def captions(self, captioner: str) -> dict[str, tuple[str, ...]]:
        """All that `add_captions` was told of this captioner, by the content of the picture."""
        found = self._connection.execute("SELECT sha256, captions FROM captions WHERE captioner = ?", (captioner,))
        return {sha256: tuple(json.loads(captions)) for sha256, captions in found}

    def vector(self, sha256: str) -> NDArray[np.float32]:
        """The vector (dimensions,) of a picture in `sizes`."""
        (blob,) = self._connection.execute(
            "SELECT vector FROM encoded WHERE fingerprint = ? AND sha256 = ?", (self._fingerprint, sha256)
        ).fetchone()
        return np.frombuffer(blob, dtype=np.float32)

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()

    def delete(self) -> None:
        """Everything is in a published version now."""
        self.close()
        shutil.rmtree(self._folder)


def _connect(folder: Path) -> sqlite3.Connection:
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / _FILE)
    try:
        connection.execute(_ENCODED)
        connection.execute(_LOOKS)
        connection.execute(_METADATA)
        connection.execute(_CAPTIONS)
    except sqlite3.DatabaseError:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _metadata(taken: str | None, tags: str) -> FileMetadata:
    return FileMetadata(None if taken is None else datetime.fromisoformat(taken), tuple(json.loads(tags)))
