"""What a build need not read or encode again: vectors of the previous version, and those of an unfinished build."""

import contextlib
import json
import logging
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index import (
    IndexOptions,
    IndexReader,
    PictureRow,
    current_version,
    read_manifest,
    read_skipped,
    version_folder,
)
from imagetext.index.kinds import FLAT, plans
from imagetext.index.rows import encode_path
from imagetext.pictures import FileMetadata
from imagetext.wire.errors import IndexVersionError
from indexer.label_tags import read_label_tags, without_label_tags
from indexer.sources import FoundFile

_FOLDER = "work"
_FILE = "encoded.sqlite"
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS encoded (
    fingerprint TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (fingerprint, sha256)
)""",
    """
CREATE TABLE IF NOT EXISTS looks (
    root BLOB NOT NULL,
    path BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (root, path)
) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS metadata (sha256 TEXT PRIMARY KEY, taken TEXT, tags TEXT NOT NULL)",
    """
CREATE TABLE IF NOT EXISTS captions (
    captioner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    captions TEXT NOT NULL,
    PRIMARY KEY (captioner, sha256)
)""",
)

log = logging.getLogger(__name__)


class MoreVectors(Protocol):
    """Vectors (dimensions,) by content that were encoded elsewhere."""

    def __contains__(self, sha256: str) -> bool: ...
    def vector(self, sha256: str) -> NDArray[np.float32]: ...


class KnownVectors:
    """Vectors by the sha256 of a picture's file, from `previous`, `work` and a cluster.

    Only `size` and `metadata` may be called from several threads.
    """

    def __init__(self, previous: "PreviousVersion | None", work: "WorkFile") -> None:
        self.previous = previous
        self.work = work
        self._more: MoreVectors | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.work.close()
        if self.previous is not None:
            self.previous.close()

    def size(self, sha256: str) -> tuple[int, int] | None:
        """The upright (width, height) in pixels of a picture whose vector is known."""
        size = self.work.sizes.get(sha256)
        if size is None and self.previous is not None:
            size = self.previous.size(sha256)
        return size

    def vector(self, sha256: str) -> NDArray[np.float32]:
        """The vector (dimensions,) of a picture that has a size here."""
        if self.previous is not None and self.previous.size(sha256) is not None:
            return self.previous.vector(sha256)
        if self._more is not None and sha256 in self._more:
            return self._more.vector(sha256)
        return self.work.vector(sha256)

    def join(self, more: MoreVectors) -> None:
        """Let `vector` find pictures that were encoded elsewhere, too."""
        self._more = more

    def contents(self) -> set[str]:
        """The sha256 of all pictures that have a size here."""
        return {*self.work.sizes, *(row.sha256 for row in (self.previous.rows if self.previous else ()))}

    def metadata(self, sha256: str) -> FileMetadata | None:
        """The metadata of a file with this content; None: it must be read."""
        metadata = self.work.metadata.get(sha256)
        if metadata is None and self.previous is not None:
            metadata = self.previous.metadata(sha256)
        return metadata

    def unchanged(self, file: FoundFile, root: str) -> tuple[str, int, int, int, FileMetadata] | None:
        """sha256, bytes, width, height and metadata of a file with the path, size and time of an earlier build; None:
        it must be read."""
        row = None if self.previous is None else self.previous.unchanged(file, root)
        sha256 = self.work.content(file) if row is None else row.sha256
        metadata = None if sha256 is None else self.metadata(sha256)
        if sha256 is None or metadata is None:
            return None
        size = self.work.sizes[sha256] if row is None else (row.width, row.height)
        return sha256, file.bytes, *size, metadata


class PreviousVersion:
    """The current version, made by the same encoder; `rows` have only their own tags, without `label_tags`."""

    def __init__(self, folder: Path, reader: IndexReader) -> None:
        self.version = reader.info.version
        self.images_address = reader.images_address
        self.label_tags = read_label_tags(reader)
        self.rows = without_label_tags(reader.rows(), self.label_tags)
        self.skipped = read_skipped(folder)
        self._manifest = read_manifest(folder)
        self._reader = reader
        self._by_path = {row.path: row for row in self.rows}
        self._by_sha256 = {row.sha256: row for row in self.rows}

    @property
    def wanted(self) -> IndexOptions:
        """The kind of index that was asked for."""
        return self._manifest.options or IndexOptions()

    def gives(self, wanted: IndexOptions) -> bool:
        """Whether building again for `wanted` would give the same index: it was asked for, or both are exact."""
        if self._manifest.options == wanted:
            return True
        new = plans(wanted, len(self.rows), self._reader.dimensions)[0]
        return self._manifest.kind == new.kind == FLAT

    def unchanged(self, file: FoundFile, root: str) -> PictureRow | None:
        """The row of a file with the same path, size and time, so that it need not be read."""
        row = self._by_path.get(file.path)
        if row is None or root != self.images_address or (row.bytes, row.mtime_ns) != (file.bytes, file.mtime_ns):
            return None
        return row

    def size(self, sha256: str) -> tuple[int, int] | None:
        """The upright (width, height) of a picture by its content, if it was indexed."""
        row = self._by_sha256.get(sha256)
        return None if row is None else (row.width, row.height)

    def same(self, path: str, sha256: str) -> PictureRow | None:
        """The row of a picture by its content, preferably under its own path: it may have been moved or copied."""
        own = self._by_path.get(path)
        return own if own is not None and own.sha256 == sha256 else self._by_sha256.get(sha256)

    def metadata(self, sha256: str) -> FileMetadata | None:
        """What the version knows about a file of this content."""
        row = self._by_sha256.get(sha256)
        return None if row is None else FileMetadata(row.taken, row.tags)

    def vector(self, sha256: str) -> NDArray[np.float32]:
        """The vector (dimensions,) of a picture that has a size here."""
        return self._reader.vector(self._by_sha256[sha256].row)

    def close(self) -> None:
        self._reader.close()


def open_previous(index: Path, fingerprint: str, dimensions: int) -> PreviousVersion | None:
    """The current version, if its vectors can be used again: intact, and made by this encoder."""
    try:
        version = current_version(index)
        if version is None:
            return None
        folder = version_folder(index, version)
        reader = IndexReader.open(folder, verify=True)  # damage must not be copied from version to version
    except IndexVersionError as error:
        log.warning("The current version cannot be reused. %s", error.detail)
        return None
    if (reader.info.fingerprint, reader.dimensions) != (fingerprint, dimensions):
        reader.close()
        return None
    return PreviousVersion(folder, reader)


class WorkFile:
    """Pictures of an unfinished build by the sha256 of their content, for one encoder, so that a killed build need not
    start again. For the thread that opened it.

    `sizes` has the upright (width, height) of encoded pictures, and `metadata` that of their files; any thread may read
    them. Path, size and time of the files of one root are kept too, so that they need not be read again.
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
        stats = connection.execute("SELECT path, bytes, mtime_ns, sha256 FROM looks WHERE root = ?", (self._root,))
        self._stats: dict[bytes, tuple[int, int, str]] = {path: tuple(stat) for path, *stat in stats}

    @classmethod
    def open(cls, index: Path, fingerprint: str, dimensions: int, root: str) -> Self:
        """Open the file of an earlier build, or a new one if there is none or it is damaged."""
        folder = index / _FOLDER
        try:
            return cls(_connect(folder), folder, fingerprint, dimensions, root)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # a full disk or the like, not damage
                raise
            for file in folder.glob(f"{_FILE}*"):  # with its journal; the parts of a cluster are in the same folder
                file.unlink()
            return cls(_connect(folder), folder, fingerprint, dimensions, root)

    def add(self, sha256: str, size: tuple[int, int], vector: NDArray[np.float32]) -> None:
        """Keep a new vector (dimensions,); it survives a kill from the next `commit` on."""
        self.sizes[sha256] = size
        self._connection.execute(
            "INSERT OR REPLACE INTO encoded VALUES (?, ?, ?, ?, ?)",
            (self._fingerprint, sha256, *size, vector.astype(np.float32).tobytes()),
        )

    def add_file(self, file: FoundFile, sha256: str, metadata: FileMetadata) -> None:
        """Remember the content and metadata of a file by its path, size and time."""
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
        """The sha256 of a file with the path, size and time of one that was read, if that was encoded."""
        *stat, sha256 = self._stats.get(encode_path(file.path), (None, None, ""))
        known = sha256 in self.sizes and sha256 in self.metadata
        return sha256 if known and stat == [file.bytes, file.mtime_ns] else None

    def add_captions(self, captioner: str, sha256: str, captions: Sequence[str]) -> None:
        """Keep the captions by the captioner with this fingerprint."""
        values = (captioner, sha256, json.dumps(captions))
        self._connection.execute("INSERT OR REPLACE INTO captions VALUES (?, ?, ?)", values)

    def captions(self, captioner: str) -> dict[str, tuple[str, ...]]:
        """All captions by this captioner, by the content of the picture."""
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
        """When everything is in a published version."""
        self.close()
        shutil.rmtree(self._folder)


def _connect(folder: Path) -> sqlite3.Connection:
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / _FILE)
    try:
        for table in _TABLES:
            connection.execute(table)
    except sqlite3.DatabaseError:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _metadata(taken: str | None, tags: str) -> FileMetadata:
    return FileMetadata(None if taken is None else datetime.fromisoformat(taken), tuple(json.loads(tags)))
