"""The seam between where pictures lie and what is done with them; one process and a cluster read through the same.

A folder on this machine, or on a disk that all machines have mounted at the same place.

Captions as data sets write them down.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from imagetext.pictures import read_picture_file
from indexer.scan import FoundFile, scan


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


class FolderSource:
    """`root` with everything below it, found and opened by the system's own calls: names may have any bytes."""

    def __init__(self, root: Path) -> None:
        self.address = os.path.abspath(root)

    def list(self) -> Listing:
        found = scan(Path(self.address))
        return Listing(files_in(Path(self.address), found.files), (), found.skipped)


def files_in(root: Path, files: Sequence[FoundFile]) -> FileShard:
    """Files of a folder whose paths are relative to it."""
    address = os.path.abspath(root)
    return FileShard(address, tuple(files), partial(_read, address))


def _read(root: str, file: FoundFile) -> bytes:
    return read_picture_file(Path(root, file.path))


COLUMNS = ("caption", "captions", "text", "sentence", "sentences")


def captions_in(value: Any) -> tuple[str, ...]:
    """A text, a list of texts, or an object that has one of COLUMNS -> captions on one line each, none empty."""
    if isinstance(value, dict):
        return next((captions_in(value[name]) for name in COLUMNS if value.get(name)), ())
    if isinstance(value, list):
        return tuple(caption for part in value for caption in captions_in(part))
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return (text,) if text else ()
