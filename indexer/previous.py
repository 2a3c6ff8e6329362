"""The version that a build starts from: what has not changed since need not be encoded, or even read, again.

The vectors there are already, by the content of the picture: from the previous version and from the work file.
"""

import logging
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
from imagetext.pictures import FileMetadata
from imagetext.wire.errors import IndexVersionError
from indexer.scan import FoundFile
from indexer.work import WorkFile

log = logging.getLogger(__name__)


class PreviousVersion:
    """A published version that the same encoder made."""

    def __init__(self, folder: Path, reader: IndexReader) -> None:
        self.version = reader.info.version
        self.images_address = reader.images_address
        self.rows = reader.rows()
        self.skipped = read_skipped(folder)
        self._manifest = read_manifest(folder)
        self._reader = reader
        self._by_path = {row.path: row for row in self.rows}
        self._by_sha256 = {row.sha256: row for row in self.rows}

    @property
    def wanted(self) -> IndexOptions:
        """What was asked of it."""
        return self._manifest.options or IndexOptions()

    def gives(self, wanted: IndexOptions) -> bool:
        """Whether a new index of the same vectors would be no other: it was asked for the same, or is exact, as the new
        one would be."""
        if self._manifest.options == wanted:
            return True
        new = plans(wanted, len(self.rows), self._reader.dimensions)[0]
        return self._manifest.kind == new.kind == FLAT

    def unchanged(self, file: FoundFile, root: str) -> PictureRow | None:
        """The row of a file that looks as it did then, so that its content need not be read to know it."""
        row = self._by_path.get(file.path)
        if row is None or root != self.images_address or (row.bytes, row.mtime_ns) != (file.bytes, file.mtime_ns):
            return None
        return row

    def size(self, sha256: str) -> tuple[int, int] | None:
        """The upright (width, height) of a picture by its content, if it was indexed."""
        row = self._by_sha256.get(sha256)
        return None if row is None else (row.width, row.height)

    def same(self, path: str, sha256: str) -> PictureRow | None:
        """The row of a picture by its content: that of its own path first, or it was moved or copied."""
        own = self._by_path.get(path)
        return own if own is not None and own.sha256 == sha256 else self._by_sha256.get(sha256)

    def metadata(self, sha256: str) -> FileMetadata | None:
        """What a file of this content says of itself, or is said of it; None: not known."""
        row = self._by_sha256.get(sha256)
        return None if row is None else FileMetadata(row.taken, row.tags)

    def vector(self, sha256: str) -> NDArray[np.float32]:
        """The vector (dimensions,) of a picture that has a size here."""
        return self._reader.vector(self._by_sha256[sha256].row)

    def close(self) -> None:
        self._reader.close()


def open_previous(index: Path, fingerprint: str, dimensions: int) -> PreviousVersion | None:
    """The current version if its vectors can be used again: intact, and made by this encoder."""
    try:
        version = current_version(index)
        if version is None:
            return None
        folder = version_folder(index, version)
        reader = IndexReader.open(folder, verify=True)  # damage must not be copied from version to version
    except IndexVersionError as error:
        log.warning("Nothing is reused. %s", error.detail)
        return None
    if (reader.info.fingerprint, reader.dimensions) != (fingerprint, dimensions):
        reader.close()
        return None
    return PreviousVersion(folder, reader)


class MoreVectors(Protocol):
    """Vectors (dimensions,) by content that were made elsewhere."""

    def __contains__(self, sha256: str) -> bool: ...
    def vector(self, sha256: str) -> NDArray[np.float32]: ...


class KnownVectors:
    """Vectors by the sha256 of a picture's file. Only `size` and `metadata` may be called from several threads."""

    def __init__(self, previous: PreviousVersion | None, work: WorkFile) -> None:
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
        """Give `vector` the pictures that were encoded elsewhere, too."""
        self._more = more

    def contents(self) -> set[str]:
        """The sha256 of all pictures that have a size here."""
        return {*self.work.sizes, *(row.sha256 for row in (self.previous.rows if self.previous else ()))}

    def metadata(self, sha256: str) -> FileMetadata | None:
        """What a file of this content says of itself, or is said of it; None: it must be read."""
        metadata = self.work.metadata.get(sha256)
        if metadata is None and self.previous is not None:
            metadata = self.previous.metadata(sha256)
        return metadata

    def unchanged(self, file: FoundFile, root: str) -> tuple[str, int, int, int, FileMetadata] | None:
        """sha256, bytes, width, height and metadata of a file that looks as it did when it was read; None: it must be
        read, be it for the metadata that an older version has not."""
        row = None if self.previous is None else self.previous.unchanged(file, root)
        sha256 = self.work.content(file) if row is None else row.sha256
        metadata = None if sha256 is None else self.metadata(sha256)
        if sha256 is None or metadata is None:
            return None
        size = self.work.sizes[sha256] if row is None else (row.width, row.height)
        return sha256, file.bytes, *size, metadata

    def saw(self, file: FoundFile, sha256: str, metadata: FileMetadata) -> None:
        """Remember a file's content by its looks, for a build that goes on from here."""
        self.work.saw(file, sha256, metadata)

    def add(self, sha256: str, size: tuple[int, int], vector: NDArray[np.float32]) -> None:
        """Keep a new vector; it survives a kill from the next `commit` on."""
        self.work.add(sha256, size, vector)

    def commit(self) -> None:
        self.work.commit()

    def forget_work(self) -> None:
        """Delete the work file: all that was in it has been published."""
        self.work.delete()
