"""Files behind a file system of fsspec: what they are called, how they look, and their content.

Pictures that lie one by one in an object store, or in any other file system that fsspec knows.

Sources of large files with many pictures in each: one such file is one shard.
"""

import posixpath
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import fsspec

from imagetext.index import SkippedFile
from imagetext.index.rows import encode_path
from imagetext.pictures import READABLE_SUFFIXES, check_bytes
from imagetext.wire.errors import ImageTextError, NotFound, Unavailable
from indexer.scan import FoundFile
from indexer.sources.source import FileShard, Listing, Shard

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")  # as the stores call the time of change


class Store:
    """A file system and the folder in it that paths are relative to. May be pickled, unless it lies in memory."""

    def __init__(self, system: fsspec.AbstractFileSystem, root: str) -> None:
        self._system = system
        self.root = root.rstrip("/") or "/"
        self.address = _address(system, self.root)

    def find(self) -> Iterator[FoundFile]:
        """All files below the root but the hidden ones. Raises Unavailable."""
        now = time.time_ns()
        try:
            found = self._system.find(self.root, detail=True)
        except Exception as error:  # each store has its own
            raise _does_not_answer() from error
        for full, info in found.items():
            path = self.relative(full)
            if info["type"] == "file" and not any(part.startswith(".") for part in path.split("/")):
                yield _looks(path, info, now)

    def look(self, path: str) -> FoundFile:
        """How one file looks. Raises NotFound or Unavailable."""
        try:
            return _looks(path, self._system.info(self.full(path)), time.time_ns())
        except (FileNotFoundError, PermissionError) as error:
            raise NotFound("The file is missing or cannot be read.") from error
        except Exception as error:
            raise _does_not_answer() from error

    def read(self, file: FoundFile) -> bytes:
        """The content of a picture's file. Raises TooLarge, NotFound or Unavailable."""
        check_bytes(file.bytes)
        try:
            content = self._system.cat_file(self.full(file.path))
        except (FileNotFoundError, PermissionError) as error:
            raise NotFound("The file is missing or cannot be read.") from error
        except Exception as error:
            raise _does_not_answer() from error
        check_bytes(len(content))
        return bytes(content)

    def open(self, path: str) -> Any:
        """A file object to read from and to seek in. Raises NotFound or Unavailable."""
        try:
            return self._system.open(self.full(path), "rb")
        except (FileNotFoundError, PermissionError) as error:
            raise NotFound("The file is missing or cannot be read.") from error
        except Exception as error:
            raise _does_not_answer() from error

    def full(self, path: str) -> str:
        return posixpath.join(self.root, path)

    def relative(self, full: str) -> str:
        return posixpath.relpath(full, self.root)


def is_picture(path: str) -> bool:
    return posixpath.splitext(path)[1].lower() in READABLE_SUFFIXES


def _looks(path: str, info: dict[str, Any], now: int) -> FoundFile:
    """Where a store tells no time, every look is a new one, so that the content is read and decides."""
    changed = next((info[name] for name in _TIMES if info.get(name)), None)
    if isinstance(changed, datetime):
        changed = (changed if changed.tzinfo else changed.replace(tzinfo=UTC)).timestamp()
    nanoseconds = int(changed * 1e9) if isinstance(changed, int | float) else now
    return FoundFile(path, int(info.get("size") or 0), nanoseconds)


def _address(system: fsspec.AbstractFileSystem, root: str) -> str:
    """Plain for the machine's own disk, s3://bucket/prefix and the like for all else."""
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    return root if "file" in protocols else str(system.unstrip_protocol(root))


def _does_not_answer() -> Unavailable:
    return Unavailable("The place where the pictures lie does not answer as it should.")


class ObjectSource:
    """All pictures below an address, by their suffixes; each is one request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.address = store.address

    def list(self) -> Listing:
        files = sorted((file for file in self._store.find() if is_picture(file.path)), key=_order)
        return Listing(FileShard(self.address, tuple(files), self._store.read))


def _order(file: FoundFile) -> bytes:
    return encode_path(file.path)


class ContainerSource:
    """`paths` below the root of the store; None: all that end with `suffix`."""

    def __init__(
        self, store: Store, paths: Sequence[str] | None, suffix: str, shard: Callable[[Store, FoundFile], Shard]
    ) -> None:
        self._store = store
        self._paths = paths
        self._suffix = suffix
        self._shard = shard
        self.address = store.address

    def list(self) -> Listing:
        listing = Listing()
        files = []
        if self._paths is None:
            files = [file for file in self._store.find() if file.path.lower().endswith(self._suffix)]
        for path in self._paths or ():
            try:
                files.append(self._store.look(path))
            except ImageTextError as error:
                listing.skipped.append(SkippedFile(path, error.detail))
        files.sort(key=lambda file: encode_path(file.path))
        listing.shards = [self._shard(self._store, file) for file in files]
        return listing
