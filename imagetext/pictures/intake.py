"""Bytes of unknown origin to an upright RGB picture. Limits come before work: bytes, then pixels, then decoding."""

import stat
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imagetext.errors import ImageTextError, InvalidPicture, NotAPicture, NotFound, TooLarge
from imagetext.pictures.bombs import MeteredFile, refuse_bombs
from imagetext.pictures.colour import to_rgb
from imagetext.pictures.formats import declared_size, find_reader

# EXIF orientation -> what turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Limits:
    """What a picture may weigh: bytes of the file, pixels of the first frame."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = Limits()


def open_picture(data: bytes | Path, limits: Limits = DEFAULT_LIMITS, *, target: int | None = None) -> Image.Image:
    """Decode the first frame of a picture: upright, RGB in sRGB, over white where it is transparent.

    Args:
        data: the file's content, or the path of a file.
        limits: refused before decoding when exceeded.
        target: pixels that the shorter side must keep; a larger JPEG is then decoded at 1/2, 1/4 or 1/8 of its size.

    Returns:
        A picture whose `info` holds only "full_size", the upright (width, height) before any scaling.

    Raises:
        TooLarge: more bytes or pixels than `limits` allow.
        NotAPicture: empty, or in none of the formats that are read here.
        InvalidPicture: damaged or cut off.
        NotFound: the path cannot be read.
    """
    if isinstance(data, Path):
        data = read_picture_file(data, limits)
    try:
        return _decode(data, limits, target)
    except ImageTextError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooLarge("The picture needs more memory than it may have.") from error
    except Exception as error:  # Pillow's readers let nearly every kind of exception out of damaged files
        raise InvalidPicture("The picture is damaged and cannot be decoded.") from error


def read_picture_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of a regular file that is not larger than `limits` allow.

    Raises:
        TooLarge: the file has too many bytes.
        NotAPicture: a folder, a pipe or a device.
        NotFound: missing or not readable.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise NotAPicture("This is not a regular file.")
        check_bytes(status.st_size, limits)
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)  # one more, so that a file that has grown is noticed
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise NotFound("The file is missing or cannot be read.") from error


def check_bytes(size: int, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raises TooLarge when a file of `size` bytes is larger than `limits` allow."""
    if size > limits.max_bytes:
        raise TooLarge(f"The picture has more than {limits.max_bytes:,} bytes.")


def _decode(data: bytes, limits: Limits, target: int | None) -> Image.Image:
    if not data:
        raise NotAPicture("The file is empty.")
    check_bytes(len(data), limits)
    reader = find_reader(data)
    if reader is None:
        raise NotAPicture("This is not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture.")
    _check_pixels(declared_size(data, reader), limits)
    refuse_bombs(data, reader)
    with reader(MeteredFile(data)) as picture:
        _check_pixels(picture.size, limits)
        full_size = picture.size
        if isinstance(picture, JpegImageFile) and target is not None:
            picture.draft(None, (target, target))
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        upright = to_rgb(picture)
    if turn is not None:
        upright = upright.transpose(turn)
        if turn not in (_TURNS[2], _TURNS[3], _TURNS[4]):
            full_size = full_size[1], full_size[0]
    upright.info = {"full_size": full_size}
    return upright


def _check_pixels(size: tuple[int, int] | None, limits: Limits) -> None:
    if size is not None and size[0] * size[1] > limits.max_pixels:
        raise TooLarge(f"The picture has {size[0]} x {size[1]} pixels; at most {limits.max_pixels:,} are read.")


def _orientation(picture: ImageFile) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF says nothing against the pixels, and its parser raises nearly anything
        return 1
