"""The version that a build starts from: what has not changed since need not be encoded, or even read, again."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import IndexVersionError
from imagetext.index import (
    IndexReader,
    PictureRow,
    Wanted,
    current_version,
    read_manifest,
    read_skipped,
    version_folder,
)
from imagetext.index.kinds import FLAT, plans
from imagetext.index.manifest import FORMAT
from imagetext.pictures import FileMetadata
from indexer.scan import FoundFile

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
    def wanted(self) -> Wanted:
        """What was asked of it."""
        return self._manifest.wanted or Wanted()

    @property
    def described(self) -> bool:
        """Whether it says what the files say of themselves; versions before format 3 do not."""
        return self._manifest.format == FORMAT

    def gives(self, wanted: Wanted) -> bool:
        """Whether a new index of the same vectors would be no other: it was asked for the same, or is exact, as the new
        one would be."""
        if self._manifest.wanted == wanted:
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
        row = self._by_sha256.get(sha256) if self.described else None
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
