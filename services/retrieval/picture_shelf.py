"""Indexed pictures as browsers can show them: their files, and JPEGs made from them."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cachetools import LRUCache

from imagetext.index import PictureRow
from imagetext.index.changes.journal_writer import AddedPictures
from imagetext.index.open_version import OpenVersion
from imagetext.pictures import Limits, open_picture, thumbnail
from imagetext.wire.errors import ImageTextError, NotFound
from services.chassis.limits import Admission
from services.retrieval.current_index import CurrentIndex
from services.retrieval.picture_files import OpenPicture, StoredPictures, is_stored, open_indexed
from services.retrieval.settings import Settings

FULL_SIDE = 4096  # pixels; the side of the JPEG that stands for a picture browsers cannot show

_CHUNK_BYTES = 256 * 1024


class PictureShelf:
    def __init__(self, settings: Settings, index: CurrentIndex) -> None:
        self._index = index
        self._added = AddedPictures(settings.index) if isinstance(settings.index, Path) else None
        self._images_root: Path | None = settings.images_root
        self._limits = Limits(settings.max_picture_bytes, settings.max_picture_pixels)
        self._stored = StoredPictures(self._limits)
        self._jpegs: LRUCache[tuple[str, int], bytes] = LRUCache(settings.thumbnail_cache_bytes, getsizeof=len)
        self._admission = Admission(settings.max_decodes)
        self._pool = ThreadPoolExecutor(settings.decode_threads, "thumbnail")

    async def open(self, id: str) -> OpenPicture:
        """An indexed picture's file, or its content if it is in an object store or a tar file.

        Raises:
            NotFound: the picture or its file does not exist.
            Unavailable: there is no index, or the store does not answer.
            Busy: too many pictures are being read or decoded.
        """
        found = await self._index.use(lambda reader: self._find(reader, id))
        if isinstance(found, OpenPicture):
            return found
        with self._admission.enter():
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._open_stored, found)

    async def jpeg(self, picture: OpenPicture, size: int) -> bytes:
        """An upright JPEG fitted into a square of `size` pixels.

        Raises:
            NotFound: the file can no longer be decoded.
            Busy: too many pictures are being decoded.
        """
        key = (picture.tag, size)
        made = self._jpegs.get(key)
        if made is None:
            with self._admission.enter():
                made = await asyncio.get_running_loop().run_in_executor(self._pool, self._make_jpeg, picture, size)
            if len(made) <= self._jpegs.maxsize:
                self._jpegs[key] = made
        return made

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, reader: OpenVersion, id: str) -> "OpenPicture | _Stored":
        """The file if there is one, else its address, for a thread that may wait for a store."""
        row = reader.by_id(id)
        if self._added is not None and self._added.has(row):
            return open_indexed(replace(row, path=self._added.name(row)), self._added.folder)
        address = str(self._images_root or reader.images_address)
        if is_stored(row, address) and ("://" in address or not Path(address, row.path).exists()):
            return _Stored(row, address, _origin(reader, row))
        try:
            return open_indexed(row, Path(address))
        except NotFound as error:
            raise _gone(error, row, _origin(reader, row)) from error

    def _open_stored(self, stored: "_Stored") -> OpenPicture:
        """In the pool."""
        try:
            return self._stored.open(stored.row, stored.address)
        except NotFound as error:
            raise _gone(error, stored.row, stored.origin) from error

    def _make_jpeg(self, picture: OpenPicture, size: int) -> bytes:
        """In the pool."""
        try:
            content = picture.file.read(self._limits.max_bytes + 1)
            decoded = open_picture(content, self._limits, target=size)
        except (ImageTextError, OSError) as error:  # the caller is not at fault
            raise NotFound("The picture's file can no longer be shown.") from error
        return thumbnail(decoded, size)


@dataclass(frozen=True)
class _Stored:
    """A picture that is not a file of a folder; `origin` is the web address that it came from."""

    row: PictureRow
    address: str
    origin: str | None


def _origin(reader: OpenVersion, row: PictureRow) -> str | None:
    address = reader.carried([row.row])[0].get("url")
    return address if isinstance(address, str) and address.startswith(("https://", "http://")) else None


def _gone(error: NotFound, row: PictureRow, origin: str | None) -> NotFound:
    reason = error.detail if row.was_seen else "The picture was imported without its file."
    return NotFound(reason if origin is None else f"{reason} It came from {origin}")


async def stream(picture: OpenPicture) -> AsyncIterator[bytes]:
    """The bytes of the file, at most as many as its announced size; then the file is closed."""
    left = picture.size
    with picture:
        while left > 0:
            chunk = await asyncio.to_thread(picture.file.read, min(left, _CHUNK_BYTES))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
