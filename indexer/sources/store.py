"""Sources in any file system that fsspec knows, such as an object store: single pictures, or large files of them."""

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
from indexer.sources.source import FileShard, FoundFile, Listing, Shard

_TIMES = (
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "created",
)  # names that stores give to the time of the last change


class Store:
    """A file system and the folder in it that paths are relative to. May be pickled, unless it is in memory."""

    def __init__(self, system: fsspec.AbstractFileSystem, root: str) -> None:
        self._system = system
        self.root = root.rstrip("/") or "/"
        self.address = _address(system, self.root)

    def find(self) -> Iterator[FoundFile]:
        """All files below the root except hidden ones. Raises Unavailable."""
        now = time.time_ns()
        try:
            found = self._system.find(self.root, detail=True)
        except Exception as error:  # each store raises its own
            raise _does_not_answer() from error
        for full, info in found.items():
            path = self.relative(full)
            if info["type"] == "file" and not any(part.startswith(".") for part in path.split("/")):
                yield _found(path, info, now)

    def stat(self, path: str) -> FoundFile:
        """Size and time of one file. Raises NotFound or Unavailable."""
        try:
            return _found(path, self._system.info(self.full(path)), time.time_ns())
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
        """A seekable file object to read from. Raises NotFound or Unavailable."""
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


def _found(path: str, info: dict[str, Any], now: int) -> FoundFile:
    """If a store has no times, the present one is taken, so that the content is always read and decides."""
    changed = next((info[name] for name in _TIMES if info.get(name)), None)
    if isinstance(changed, datetime):
        changed = (changed if changed.tzinfo else changed.replace(tzinfo=UTC)).timestamp()
    nanoseconds = int(changed * 1e9) if isinstance(changed, int | float) else now
    return FoundFile(path, int(info.get("size") or 0), nanoseconds)


def _address(system: fsspec.AbstractFileSystem, root: str) -> str:
    """A plain path on the local disk, otherwise an address such as s3://bucket/prefix."""
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    return root if "file" in protocols else str(system.unstrip_protocol(root))


def _does_not_answer() -> Unavailable:
    return Unavailable("The store with the pictures does not answer as expected.")


class ObjectSource:
    """All pictures below an address, by their suffixes; reading each takes one request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.address = store.address

    def list(self) -> Listing:
        files = sorted((file for file in self._store.find() if is_picture(file.path)), key=_order)
        return Listing(FileShard(self.address, tuple(files), self._store.read))


def _order(file: FoundFile) -> bytes:
    return encode_path(file.path)


class ContainerSource:
    """Large files: `paths` below the root of the store, or if None, all that end with `suffix`."""

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
                files.append(self._store.stat(path))
            except ImageTextError as error:
                listing.skipped.append(SkippedFile(path, error.detail))
        files.sort(key=lambda file: encode_path(file.path))
        listing.shards = [self._shard(self._store, file) for file in files]
        return listing
