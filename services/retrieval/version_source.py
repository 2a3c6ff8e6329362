"""Where the published versions come from: a folder, an object store, or Milvus."""

from pathlib import Path
from typing import Protocol

from imagetext.contracts import IndexInfo
from imagetext.errors import IndexVersionError
from imagetext.index import IndexReader, current_version, version_folder
from imagetext.index.open_version import OpenVersion
from imagetext.index.overview import other_encoder


class VersionSource(Protocol):
    """`current` and `open` are called in a thread, one call at a time."""

    @property
    def folder(self) -> Path | None:
        """The index folder whose journal changes the versions; None: nothing does."""

    @property
    def away(self) -> bool:
        """Whether it could not be reached at the last look."""

    @property
    def lost(self) -> bool:
        """Whether what is open cannot be searched either; the source is away then."""

    def current(self) -> str | None:
        """The published version, or None when there is none yet. Raises ImageTextError when it cannot be known."""

    def open(self, version: str, fingerprint: str) -> OpenVersion:
        """Open a version, after a look at all of it.

        Raises:
            IndexVersionError: it is damaged, or its encoder has another fingerprint.
            Unavailable: the source does not answer.
        """

    def missing(self) -> str:
        """Why there is nothing to search, while nothing stands against what is published."""

    def stop(self) -> None:
        """End what `open` is doing in its thread; called once."""


class FolderSource:
    """An index folder, of this machine or of a shared volume."""

    away = lost = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> str | None:
        return current_version(self.folder)

    def open(self, version: str, fingerprint: str) -> IndexReader:
        reader = IndexReader.open(version_folder(self.folder, version), verify=True)
        try:
            require_encoder(reader.info, fingerprint)
        except IndexVersionError:
            reader.close()
            raise
        return reader

    def missing(self) -> str:
        build = f"python -m indexer build --images FOLDER --index {self.folder}"
        return f"There is no index in {self.folder} yet. Build one: {build}"

    def stop(self) -> None:
        """Reading a folder needs no end."""


def require_encoder(info: IndexInfo, fingerprint: str) -> None:
    """Raises IndexVersionError when the vectors of a version are of another encoder."""
    conflict = other_encoder(info, fingerprint)
    if conflict is not None:
        raise IndexVersionError(conflict)
