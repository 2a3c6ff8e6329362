"""The content of indexed pictures: files below the indexed folder, objects of a store, and members of tar files.

Nothing outside the indexed folder can be opened.
"""

import hashlib
import io
import os
import posixpath
import stat
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import fsspec
from cachetools import LRUCache

from imagetext.index import PictureRow
from imagetext.pictures import Limits, check_bytes
from imagetext.pictures.formats import find_reader
from imagetext.wire.errors import ImageTextError, NotFound, Unavailable

# The formats that browsers show, by Pillow's names.
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}
_HEAD_BYTES = 512
_TAR, _PARQUET = ".tar/", ".parquet/"
_TAR_FILES = 32  # whose tables of members are cached


@dataclass(frozen=True)
class OpenPicture:
    """An open file. `tag` identifies its content; `media_type` is None if browsers do not show the format."""

    file: BinaryIO
    size: int
    tag: str
    media_type: str | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


def open_indexed(row: PictureRow, root: Path) -> OpenPicture:
    """Open the file of an indexed picture below `root`.

    Raises:
        NotFound: gone, not readable, no longer a picture, or a link to somewhere outside `root`.
    """
    file = open_inside(root, row.path)
    try:
        return _examine(file, row)
    except BaseException:
        file.close()
        raise


def open_inside(root: Path, path: str) -> BinaryIO:
    """Open a file below `root`. Raises NotFound as `open_indexed` does."""
    try:
        resolved = (root / path).resolve(strict=True)
        if not resolved.is_relative_to(root.resolve()):
            raise NotFound("The picture is no longer in the indexed folder.")
        # The resolved path has no links, so one that appears now must not be followed; a pipe must not block.
        descriptor = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.fdopen(descriptor, "rb")
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a cycle of links
        raise NotFound("The picture's file is gone.") from error


def in_memory(content: bytes) -> OpenPicture:
    """A picture that was read whole. Raises NotFound if it is not a picture."""
    reader = find_reader(content)
    if reader is None:
        raise NotFound("The file is no longer a picture.")
    tag = hashlib.sha256(content).hexdigest()
    return OpenPicture(io.BytesIO(content), len(content), tag, _MEDIA_TYPES.get(str(reader.format)))


def _examine(file: BinaryIO, row: PictureRow) -> OpenPicture:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("The picture's file is gone.")
    reader = find_reader(file.read(_HEAD_BYTES))
    file.seek(0)
    if reader is None:
        raise NotFound("The file is no longer a picture.")
    return OpenPicture(file, status.st_size, _tag(row, status), _MEDIA_TYPES.get(str(reader.format)))


def _tag(row: PictureRow, status: os.stat_result) -> str:
    """The hash of the content while the file is the one that was indexed, then one that depends on size and time."""
    if (status.st_size, status.st_mtime_ns) == (row.bytes, row.mtime_ns):
        return row.sha256
    # With the id, because different files that were copied together may share size and time.
    return f"{row.id}-{status.st_size:x}-{status.st_mtime_ns:x}"


class StoredPictures:
    """Pictures that are not files of a folder. They are read whole, in a thread, and may wait for the network."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._tables: LRUCache[tuple[str, int], dict[str, tuple[int, int]]] = LRUCache(_TAR_FILES)

    def open(self, row: PictureRow, address: str) -> OpenPicture:
        """A picture below `address`, which is that of an object store or the path of a folder.

        Raises:
            NotFound: gone, no longer a picture, too large to be shown, or inside a parquet file.
            Unavailable: the store does not answer.
        """
        try:
            return in_memory(self._read(row, _opener(address)))
        except ImageTextError:
            raise
        except (FileNotFoundError, PermissionError, tarfile.TarError) as error:
            raise NotFound("The picture's file is gone.") from error
        except Exception as error:  # each store has its own
            raise Unavailable("The store of the pictures does not answer.", retry_after=5) from error

    def _read(self, row: PictureRow, open_file: Callable[[str], BinaryIO]) -> bytes:
        if is_in_tar(row.path):
            path, member = _split(row.path)
            with open_file(path) as file:
                offset, size = self._table(path, row.mtime_ns, file).get(member, (0, None))
                if size is None:
                    raise NotFound("The picture is no longer in its tar file.")
                file.seek(offset)
                return self._checked(file.read(size if size <= self._limits.max_bytes else 0))
        if _PARQUET in row.path:
            raise NotFound("The picture is in a parquet file; such pictures can be found, but not shown.")
        with open_file(row.path) as file:
            return self._checked(file.read(self._limits.max_bytes + 1))

    def _checked(self, content: bytes) -> bytes:
        try:
            check_bytes(len(content), self._limits)
        except ImageTextError as error:
            raise NotFound("The picture's file can no longer be shown.") from error
        return content

    def _table(self, path: str, changed: int, file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Name -> (offset, bytes) of a tar file's members. Reads all headers of the file, once."""
        with self._lock:
            table = self._tables.get((path, changed))
        if table is None:
            table = _members(file)
            with self._lock:
                self._tables[path, changed] = table
        return table


def is_stored(row: PictureRow, address: str) -> bool:
    """Whether a picture may be something else than a file of a folder."""
    return "://" in address or is_in_tar(row.path) or _PARQUET in row.path


def is_in_tar(path: str) -> bool:
    return _TAR in path


def _opener(address: str) -> Callable[[str], BinaryIO]:
    if "://" not in address:
        return lambda path: open_inside(Path(address), path)
    system, root = fsspec.url_to_fs(address)

    def open_file(path: str) -> Any:
        return system.open(posixpath.join(root, path), "rb")

    return open_file


def _split(path: str) -> tuple[str, str]:
    """shards/0.tar/a/1.jpg -> shards/0.tar, a/1.jpg."""
    at = path.index(_TAR) + len(_TAR) - 1
    return path[:at], path[at + 1 :]


def _members(file: BinaryIO) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
            if member.isreg():
                found.setdefault(member.name, (member.offset_data, member.size))
    return found
