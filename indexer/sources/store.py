"""Files behind a file system of fsspec: what they are called, how they look, and their content."""

import posixpath
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import fsspec

from imagetext.errors import NotFound, Unavailable
from imagetext.pictures import READABLE_SUFFIXES, check_bytes
from indexer.scan import FoundFile

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
