"""The indexed pictures' own files, opened so that nothing outside the indexed folder can be reached."""

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from imagetext.errors import NotFound
from imagetext.index import PictureRow
from imagetext.pictures.formats import find_reader

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
