"""The interface between the places of pictures and their indexing, and its simplest implementation: a folder.

One process and a cluster read through the same interface.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from imagetext.pictures import READABLE_SUFFIXES, read_picture_file
from imagetext.wire.errors import NotFound
from indexer.reports import printable

CAPTION_COLUMNS = ("caption", "captions", "text", "sentence", "sentences")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file by its path relative to the scanned folder, with forward slashes, and its stat when it was found."""

    path: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source.

    `read` returns the content of its file, in any thread, or raises an ImageTextError: Unavailable if the place is at
    fault, any other if the picture is. It is None if the content was not wanted. `held` counts the bytes that the item
    has in memory. `captions` are those that the source has for the picture.
    """

    file: FoundFile
    read: Callable[[], bytes] | None
    captions: tuple[str, ...] = ()
    held: int = 0


class Shard(Protocol):
    """Pictures that one process reads in order; may be pickled and read on another machine."""

    @property
    def identity(self) -> str:
        """Changes with the content, as far as can be told without reading it; the same in every run."""
        ...

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        """All pictures, always in the same order; pictures that are not `wanted` come without their content."""
        ...


@dataclass(frozen=True)
class FileShard:
    """Single files; `reader` reads any of them in any thread, raises like `Item.read`, and can be pickled."""

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
    """What a source has: files, which are known without reading, and shards, whose pictures are not."""

    files: FileShard | None = None
    shards: Sequence[Shard] = ()
    skipped: list[SkippedFile] = field(default_factory=list)

    def all(self) -> list[Shard]:
        return [*([self.files] if self.files is not None else []), *self.shards]

    def is_empty(self) -> bool:
        return not self.shards and not (self.files and self.files.files)

    def size(self) -> int | None:
        """The largest possible number of pictures, if it is known without reading."""
        return None if self.shards or self.files is None else len(self.files.files)


class Source(Protocol):
    """`address` is `images_root` in a version's manifest: rows' paths are relative to it."""

    address: str

    def list(self) -> Listing:
        """Raises NotFound if there is nothing to read, Unavailable if the place does not answer."""
        ...


def identity_of(address: str, files: Sequence[FoundFile]) -> str:
    """A name for these files with their sizes and times."""
    digest = hashlib.sha256(encode_path(address))
    for file in files:
        digest.update(b"\0%s\0%d\0%d" % (encode_path(file.path), file.bytes, file.mtime_ns))
    return digest.hexdigest()[:24]


def captions_in(value: Any) -> tuple[str, ...]:
    """A text, a list of texts, or an object with one of CAPTION_COLUMNS -> captions on one line each, none empty."""
    if isinstance(value, dict):
        return next((captions_in(value[name]) for name in CAPTION_COLUMNS if value.get(name)), ())
    if isinstance(value, list):
        return tuple(caption for part in value for caption in captions_in(part))
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return (text,) if text else ()


class FolderSource:
    """`root` with everything below it; names may have any bytes."""

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


@dataclass
class Scan:
    """What a walk found, sorted by path."""

    files: list[FoundFile] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)


def scan(root: Path) -> Scan:
    """Walk a folder and everything below it, except hidden files and folders; no file is opened.

    Links are followed, but each real folder is walked only once, under its real path if that is inside `root`.

    Raises:
        NotFound: `root` is not a readable folder.
    """
    require_folder(root)
    found = Scan()
    visited: set[tuple[int, int]] = set()
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)  # links last, so that real paths win
        try:
            identity = _identity(root / folder)
            if identity in visited:
                continue
            visited.add(identity)
            entries = sorted(_visible_entries(root / folder), key=lambda entry: os.fsencode(entry.name))
        except OSError:
            found.skipped.append(SkippedFile(folder, "The folder cannot be read."))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(path)
            elif os.path.splitext(entry.name)[1].lower() in READABLE_SUFFIXES:
                _add_file(found, path, root)
    found.files.sort(key=lambda file: encode_path(file.path))
    found.skipped.sort(key=lambda file: encode_path(file.path))
    return found


def require_folder(root: Path) -> None:
    """Raises NotFound if `root` is not a readable folder."""
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        raise NotFound(f"The folder of pictures is missing or cannot be read: {printable(str(root))}")


def _visible_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to a place without permission
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _add_file(found: Scan, path: str, root: Path) -> None:
    try:
        status = (root / path).stat()
    except OSError:
        found.skipped.append(SkippedFile(path, "The file is missing or cannot be read."))
        return
    if stat.S_ISREG(status.st_mode):
        found.files.append(FoundFile(path, status.st_size, status.st_mtime_ns))
    else:
        found.skipped.append(SkippedFile(path, "This is not a regular file."))
