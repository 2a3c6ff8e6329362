"""Indexed pictures that are no files of a folder: objects of a store, and members of tar files there or in a folder."""

import posixpath
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from imagetext.errors import ImageTextError, NotFound, Unavailable
from imagetext.index import PictureRow
from imagetext.pictures import Limits, check_bytes
from services.retrieval.picture_files import OpenPicture, in_memory, open_inside

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
