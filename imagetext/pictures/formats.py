"""Detects the format of a file by its first bytes, and refuses files that would keep a decoder busy for minutes.

Names and declared types prove nothing, and such files stay within the limits of bytes and pixels.
"""

import io
import re
import struct

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imagetext.wire.errors import InvalidPicture

READABLE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)

_PLAIN_SIGNATURES: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),  # BigTIFF
    (b"MM\0+", TiffImageFile),
)
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

# Each scan of a progressive JPEG passes over all pixels; encoders write about ten.
MAX_SCANS = 100
# Pillow joins the EXIF segments of a JPEG by copying all it has so far; cameras write one, and one per preview.
MAX_EXIF_SEGMENTS = 100
# Pillow builds a list of all strips or tiles before it reads the first; one per row is the usual worst.
MAX_STRIPS = 100_000
# Readers walk the chunks, segments and blocks of a file in Python. Honest files of 20 MB need about ten thousand steps.
MAX_READS = 300_000

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


def find_reader(data: bytes) -> type[ImageFile] | None:
    """Pillow's class for this file, or None if it is in none of our formats.

    `PIL.Image.open` is not used: it has its own pixel limit in a global variable, and cannot tell a damaged picture
    from a file of another kind.
    """
    for signature, reader in _PLAIN_SIGNATURES:
        if data.startswith(signature):
            return reader
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return BmpImageFile
    if data[4:8] == b"ftyp" and _AVIF_BRANDS & _brands(data):
        return AvifImageFile
    return None


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[at : at + 4] for at in range(8, end, 4) if at != 12}  # 12..16 is the minor version


def declared_size(data: bytes, reader: type[ImageFile]) -> tuple[int, int] | None:
    """(width, height) in pixels from the header, for formats whose readers allocate when they open a file.

    None for other formats, whose readers allocate only when the picture is loaded.
    """
    try:
        if reader is WebPImageFile:
            return _webp_size(data)
        if reader is GifImageFile:
            width, height = struct.unpack_from("<HH", data, 6)
            return width, height
        if reader is AvifImageFile:
            return _avif_size(data)
    except struct.error:  # a truncated header: opening the file will fail
        return None
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        width, height = struct.unpack("<II", data[24:27] + b"\0" + data[27:30] + b"\0")
        return width + 1, height + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _avif_size(data: bytes) -> tuple[int, int] | None:
    """The largest of the sizes given before the pixel data; a grid lists its tiles' sizes beside its own."""
    header, _, _ = data.partition(b"mdat")
    sizes = [struct.unpack_from(">II", header, box.end() + 4) for box in re.finditer(b"ispe", header[: -3 * 4])]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


class MeteredFile(io.BytesIO):
    """A file in memory that stops a reader after too many reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise InvalidPicture("The picture has far too many pieces.")
        return super().read(size)


def refuse_bombs(data: bytes, reader: type[ImageFile]) -> None:
    """Raise InvalidPicture for a JPEG or TIFF with an absurd structure."""
    if reader is JpegImageFile and data.count(b"\xff\xda") > MAX_SCANS:
        raise InvalidPicture("The picture is a JPEG with far too many scans.")
    if reader is JpegImageFile and data.count(b"Exif\0\0") > MAX_EXIF_SEGMENTS:
        raise InvalidPicture("The picture is a JPEG with far too many EXIF segments.")
    if reader is TiffImageFile and _strips(data) > MAX_STRIPS:
        raise InvalidPicture("The picture is a TIFF cut into far too many strips.")


def _strips(data: bytes) -> int:
    """The number of strips or tiles in the first directory of a TIFF."""
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
    except struct.error:  # truncated: opening the file will fail
        return 0
