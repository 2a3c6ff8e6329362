"""Files within the limits of bytes and pixels that would still keep a decoder busy for minutes or hours."""

import io
import struct

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from imagetext.errors import InvalidPicture

# Each scan of a progressive JPEG passes over all pixels; encoders write about ten.
MAX_SCANS = 100
# Pillow joins the EXIF segments of a JPEG by copying all it has so far; cameras write one, and one per preview.
MAX_EXIF_SEGMENTS = 100
# Pillow builds a list of all strips or tiles before it reads the first; one per row is the usual worst.
MAX_STRIPS = 100_000
# Readers walk the chunks, segments and blocks of a file in Python. Honest files of 20 MB need about ten thousand steps.
MAX_READS = 300_000

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


class MeteredFile(io.BytesIO):
    """A file in memory that gives up on a reader that comes back endlessly for a few more bytes."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise InvalidPicture("The picture is cut into far too many pieces.")
        return super().read(size)


def refuse_bombs(data: bytes, reader: type[ImageFile]) -> None:
    """Raise InvalidPicture for a JPEG or TIFF whose structure is out of all proportion."""
    if reader is JpegImageFile and data.count(b"\xff\xda") > MAX_SCANS:
        raise InvalidPicture("The picture is a JPEG with far too many scans.")
    if reader is JpegImageFile and data.count(b"Exif\0\0") > MAX_EXIF_SEGMENTS:
        raise InvalidPicture("The picture is a JPEG with far too many EXIF segments.")
    if reader is TiffImageFile and _strips(data) > MAX_STRIPS:
        raise InvalidPicture("The picture is a TIFF cut into far too many strips.")


def _strips(data: bytes) -> int:
    """The number of strips or tiles that the first directory of a TIFF names."""
    order = "<" if data.startswith(b"II") else ">"
    big = b"+" in data[2:4]
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        (length,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
        entry = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
        first = start + (8 if big else 2)
        directory = data[first : first + min(length, 0xFFFF) * entry.size]
        entries = entry.iter_unpack(directory[: len(directory) // entry.size * entry.size])
        return max((count for tag, _, count in entries if tag in (_STRIP_OFFSETS, _TILE_OFFSETS)), default=0)
    except struct.error:  # cut off: opening it will say so
        return 0
