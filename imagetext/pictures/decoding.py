"""Decodes bytes of unknown origin into upright RGB pictures.

Limits come before work: bytes, then pixels, then decoding.
"""

import io
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imagetext.pictures.formats import MeteredFile, declared_size, find_reader, refuse_bombs
from imagetext.wire.errors import ImageTextError, InvalidParameter, InvalidPicture, NotAPicture, NotFound, TooLarge

# Printers' profiles take about two megabytes; a larger one is not worth its parsing.
MAX_PROFILE_BYTES = 4_000_000

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_BITS_PER_SAMPLE_TAG = 258  # of TIFF
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
_QUALITY = 85  # of thumbnails


@dataclass(frozen=True)
class Limits:
    """Limits of a picture: bytes of the file, pixels of the first frame."""

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
        raise TooLarge("The picture needs too much memory.") from error
    except Exception as error:  # Pillow raises nearly any exception for damaged files
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
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block for ever
            raise NotAPicture("This is not a regular file.")
        check_bytes(status.st_size, limits)
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)  # one more, to notice a file that has grown
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
    except Exception:  # of any kind; with damaged EXIF the pixels may still be fine
        return 1


def thumbnail(picture: Image.Image, size: int) -> bytes:
    """A JPEG, without any metadata, of an RGB picture fitted into a square of `size` pixels; never enlarged.

    Raises:
        InvalidParameter: `size` is not positive.
    """
    if size < 1:
        raise InvalidParameter(f"The size of a thumbnail must be at least 1 pixel, not {size}.")
    small = picture.copy()
    small.info = {}  # Pillow would write its comment into the file
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def to_rgb(picture: ImageFile) -> Image.Image:
    """The picture in RGB: transparent parts over white, deep samples scaled to 8 bits, colour profile applied. The
    picture itself if nothing needs doing."""
    colour = _flatten(picture)
    if picture.mode != "LAB":  # its values are absolute, and a profile no longer applies
        colour = _apply_profile(colour, picture.info.get("icc_profile"))
    return colour if colour.mode == "RGB" else colour.convert("RGB")


def _flatten(picture: ImageFile) -> Image.Image:
    """The picture without transparency and in 8 bits, as L, RGB or CMYK, to which a profile can apply."""
    if picture.mode.startswith("I;16"):
        return _scale_16_bit(picture)
    if picture.mode in ("I", "F"):
        return _scale_unbounded(np.asarray(picture))
    if picture.mode == "CMYK":
        return _upright_ink(picture)
    if picture.mode == "LA":
        return _over_white(picture.getchannel("L"), picture.getchannel("A"))
    if picture.has_transparency_data:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        return _over_white(rgba, rgba)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _over_white(picture: Image.Image, mask: Image.Image) -> Image.Image:
    white = Image.new("L" if picture.mode == "L" else "RGB", picture.size, "white")
    white.paste(picture, mask=mask)
    return white


def _scale_16_bit(picture: ImageFile) -> Image.Image:
    samples = np.asarray(picture)
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE_TAG, (16,))[0]  # TIFF may hold 12 in 16
    values = (samples >> (bits - 8)).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        values[samples == transparent] = 255
    return Image.fromarray(values)


def _scale_unbounded(samples: NDArray[np.int32] | NDArray[np.float32]) -> Image.Image:
    """Modes I and F do not define white: take the first usual white that no sample exceeds, or else the brightest
    sample."""
    values = np.nan_to_num(samples.astype(np.float32), copy=False, posinf=0, neginf=0)
    brightest = float(values.max())
    usual = (1.0, 255.0, 65535.0) if samples.dtype.kind == "f" else (255.0, 65535.0)
    white = next((white for white in usual if brightest <= white), brightest)
    return Image.fromarray((values.clip(0, white) * (255 / white)).astype(np.uint8))


def _upright_ink(picture: ImageFile) -> Image.Image:
    """Pillow reads every CMYK JPEG as Adobe's, with inverted ink; the others must be inverted back."""
    if picture.format == "JPEG" and "adobe" not in picture.info:
        return ImageChops.invert(picture)
    return picture


def _apply_profile(colour: Image.Image, profile: bytes | None) -> Image.Image:
    """`colour` in sRGB if its profile can be used, else `colour` itself."""
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return colour
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_SPACES[colour.mode]:
            return colour
        if "sRGB" in (source.profile.profile_description or ""):
            return colour
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), colour.mode, "RGB")
        return transform.apply(colour)
    except Exception:  # of any kind; with a broken profile the pixels may still be fine
        return colour
