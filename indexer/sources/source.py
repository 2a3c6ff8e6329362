"""The seam between where pictures lie and what is done with them; one process and a cluster read through the same."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from indexer.scan import FoundFile


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source.

    `read` gives the content of its file, in any thread; it raises an ImageTextError where there is none, of which
    Unavailable alone says that the place, and not the picture, is at fault. `read` is None where the content was not
    wanted. `held` counts the bytes that the item already has in memory. `captions` are what the source itself says of
    the picture.
    """

    file: FoundFile
    read: Callable[[], bytes] | None
    captions: tuple[str, ...] = ()
    held: int = 0


class Shard(Protocol):
    """Pictures that one process reads from the first to the last; may be pickled and read elsewhere."""

    @property
    def identity(self) -> str:
        """Another for other content, as far as can be told without reading it; the same in every run."""
        ...

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        """All pictures, always in the same order; what is not `wanted` comes without its content."""
        ...


@dataclass(frozen=True)
class FileShard:
    """Files that lie one by one; `reader` reads any of them in any thread, raises as `Item.read` does, and pickles."""

    address: str
    files: tuple[FoundFile, ...]
    reader: Callable[[FoundFile], bytes]

    @property
    def identity(self) -> str:
        return identity_of(self.address, self.files)

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item]:
        for file in self.files:
            yield Item(file, partial(self.reader, file) if wanted(file) else None)


@dataclass
class Listing:
    """What a source has: files, which are known before one is read, and shards, whose pictures only reading tells."""

    files: FileShard | None = None
    shards: Sequence[Shard] = ()
    skipped: list[SkippedFile] = field(default_factory=list)

    def all(self) -> list[Shard]:
        return [*([self.files] if self.files is not None else []), *self.shards]

    def is_empty(self) -> bool:
        return not self.shards and not (self.files and self.files.files)

    def size(self) -> int | None:
        """How many pictures there are at most, where that is known without reading."""
        return None if self.shards or self.files is None else len(self.files.files)


class Source(Protocol):
    """`address` is what a version's manifest calls the images' root: rows' paths are relative to it."""

    address: str

    def list(self) -> Listing:
        """Raises NotFound where there is nothing to be read, Unavailable where the place does not answer."""
        ...


def identity_of(address: str, files: Sequence[FoundFile]) -> str:
    """A name for files with the looks they have."""
    digest = hashlib.sha256(encode_path(address))
    for file in files:
        digest.update(b"\0%s\0%d\0%d" % (encode_path(file.path), file.bytes, file.mtime_ns))
    return digest.hexdigest()[:24]
