"""The indexed pictures' own files, opened so that nothing outside the indexed folder can be reached.

Indexed pictures that are no files of a folder: objects of a store, and members of tar files there or in a folder.
"""

import hashlib
import io
import os
import posixpath
import stat
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import fsspec

from imagetext.index import PictureRow
from imagetext.pictures import Limits, check_bytes
from imagetext.pictures.formats import find_reader
from imagetext.wire.errors import ImageTextError, NotFound, Unavailable

# What browsers show as it is, by Pillow's names of the formats.
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}
_HEAD_BYTES = 512


@dataclass(frozen=True)
class OpenPicture:
    """An open file. `tag` names its content; `media_type` is None if browsers do not show the format."""

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
    """Opens the file of an indexed picture under `root`.

    Raises:
        NotFound: gone, not readable, no picture any more, or a link to somewhere outside `root`.
    """
    file = open_inside(root, row.path)
    try:
        return _examine(file, row)
    except BaseException:
        file.close()
        raise


def open_inside(root: Path, path: str) -> BinaryIO:
    """Opens a file under `root`. Raises NotFound as `open_indexed` does."""
    try:
        resolved = (root / path).resolve(strict=True)
        if not resolved.is_relative_to(root.resolve()):
            raise NotFound("The picture is not in the indexed folder any more.")
        # The resolved path has no links, so one that appears now is not to be followed; a pipe must not block.
        descriptor = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.fdopen(descriptor, "rb")
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        raise NotFound("The picture's file is gone.") from error


def in_memory(content: bytes) -> OpenPicture:
    """A picture that was read whole. Raises NotFound when it is none."""
    reader = find_reader(content)
    if reader is None:
        raise NotFound("The file is no picture any more.")
    tag = hashlib.sha256(content).hexdigest()
    return OpenPicture(io.BytesIO(content), len(content), tag, _MEDIA_TYPES.get(str(reader.format)))


def _examine(file: BinaryIO, row: PictureRow) -> OpenPicture:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("The picture's file is gone.")
    reader = find_reader(file.read(_HEAD_BYTES))
    file.seek(0)
    if reader is None:
        raise NotFound("The file is no picture any more.")
    return OpenPicture(file, status.st_size, _tag(row, status), _MEDIA_TYPES.get(str(reader.format)))


def _tag(row: PictureRow, status: os.stat_result) -> str:
    """The hash of the content as long as the file is the one that was indexed; then what tells it from that one."""
    if (status.st_size, status.st_mtime_ns) == (row.bytes, row.mtime_ns):
        return row.sha256
    # With the id: files that were copied together may share size and time, and yet not their content.
    return f"{row.id}-{status.st_size:x}-{status.st_mtime_ns:x}"


_TAR, _PARQUET = ".tar/", ".parquet/"
_TABLES = 32  # tar files whose members' places are remembered


class StoredPictures:
    """Reads pictures whole, in a thread that may wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[str, int], dict[str, tuple[int, int]]] = OrderedDict()

    def open(self, row: PictureRow, address: str) -> OpenPicture:
        """A picture below `address`, an object store's or a folder's path.

        Raises:
            NotFound: gone, changed into something else, too large to be shown, or inside a parquet file.
            Unavailable: the store does not answer.
        """
        try:
            return in_memory(self._read(row, _opener(address)))
        except ImageTextError:
            raise
        except (FileNotFoundError, PermissionError, tarfile.TarError) as error:
            raise NotFound("The picture's file is gone.") from error
        except Exception as error:  # each store has its own
            raise Unavailable("The place where the pictures lie does not answer.", retry_after=5) from error

    def _read(self, row: PictureRow, open_file: Callable[[str], BinaryIO]) -> bytes:
        if is_in_tar(row.path):
            path, member = _split(row.path)
            with open_file(path) as file:
                place = self._table(path, row.mtime_ns, file).get(member)
                if place is None:
                    raise NotFound("The picture is in its tar file no more.")
                file.seek(place[0])
                return self._checked(file.read(place[1] if place[1] <= self._limits.max_bytes else 0))
        if _PARQUET in row.path:
            raise NotFound("The picture is a row of a parquet file; such pictures are found, but not shown.")
        with open_file(row.path) as file:
            return self._checked(file.read(self._limits.max_bytes + 1))

    def _checked(self, content: bytes) -> bytes:
        try:
            check_bytes(len(content), self._limits)
        except ImageTextError as error:
            raise NotFound("The picture's file can no longer be shown.") from error
        return content

    def _table(self, path: str, changed: int, file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Name -> (offset, bytes) of a tar file's members. A remote one costs a walk over its headers, once."""
        with self._lock:
            table = self._tables.get((path, changed))
            if table is not None:
                self._tables.move_to_end((path, changed))
                return table
        table = _members(file)
        with self._lock:
            self._tables[path, changed] = table
            while len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        return table


def is_stored(row: PictureRow, address: str) -> bool:
    """Whether a picture is no file of a folder."""
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
    """shards/0.tar/a/1.jpg -> shards/0.tar and a/1.jpg."""
    at = path.index(_TAR) + len(_TAR) - 1
    return path[:at], path[at + 1 :]


def _members(file: BinaryIO) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header that it has seen
            if member.isreg():
                found.setdefault(member.name, (member.offset_data, member.size))
    return found
