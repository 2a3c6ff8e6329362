"""Which format a file has, told by its first bytes: names and declared types prove nothing."""

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


def find_reader(data: bytes) -> type[ImageFile] | None:
    """The class of Pillow that reads this file, or None when it is in none of our formats.

    The class is called itself, not `PIL.Image.open`: that one would apply a pixel limit of its own, kept in a
    global variable, and could not tell a damaged picture from something that never was one.
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
    """(width, height) in pixels from the header, for the formats whose readers allocate as soon as they open.

    None for the other formats: their readers take no memory before the picture is loaded.
    """
    try:
        if reader is WebPImageFile:
            return _webp_size(data)
        if reader is GifImageFile:
            width, height = struct.unpack_from("<HH", data, 6)
            return width, height
        if reader is AvifImageFile:
            return _avif_size(data)
    except struct.error:  # the header is cut off: opening it will say so
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
