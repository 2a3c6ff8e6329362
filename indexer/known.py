"""The vectors there are already, by the content of the picture: from the previous version and from the work file."""

from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.pictures import FileMetadata
from indexer.previous import PreviousVersion
from indexer.scan import FoundFile
from indexer.work import WorkFile


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
