"""Which files of a folder are to be indexed, found without opening any of them."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from imagetext.pictures import READABLE_SUFFIXES
from imagetext.wire.errors import NotFound
from indexer.wording import printable


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file by its path relative to the scanned folder, with forward slashes, and how it looked when it was found."""

    path: str
    bytes: int
    mtime_ns: int


@dataclass
class Scan:
    """What a walk found, sorted by path."""

    files: list[FoundFile] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)


def scan(root: Path) -> Scan:
    """Walk through a folder and everything below it, except what is hidden.

    Links are followed, but each real folder is walked once only and under its real path if that lies inside `root`.

    Raises:
        NotFound: `root` is no folder that can be read.
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
    """Raises NotFound when `root` is no folder that can be read."""
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        raise NotFound(f"The folder of pictures is missing or cannot be read: {printable(str(root))}")


def _visible_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or to where we may not look
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
