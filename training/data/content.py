"""What a picture is told by: its size, the hash of its bytes, and two hashes of what it looks like.

dhash compares neighbouring pixels of the picture at 9 x 8, phash the lowest 8 x 8 frequencies of its cosine transform
with their median. Both survive scaling and recompression. Source: C. Zauner (2010), "Implementation and Benchmarking of
Perceptual Image Hash Functions"; computed by the library ImageHash.
"""

import hashlib
from dataclasses import dataclass

import imagehash
from PIL import Image

from imagetext.errors import NotAPicture
from imagetext.pictures import DEFAULT_LIMITS, Limits, open_picture
from imagetext.pictures.formats import find_reader

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


@dataclass(frozen=True, slots=True)
class Content:
    """The columns of a record that follow from the file's bytes; `Record(**asdict(content), ...)`."""

    width: int
    height: int
    sha256: str
    dhash: str
    phash: str


def measure(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Content:
    """Decode a picture wholly and say what it is told by; width and height are those of the upright picture.

    Raises:
        TooLarge, NotAPicture, InvalidPicture: as `imagetext.pictures.open_picture`.
    """
    return content_of(data, open_picture(data, limits))


def content_of(data: bytes, picture: Image.Image) -> Content:
    """The same for a file that is decoded already."""
    return Content(
        width=picture.width,
        height=picture.height,
        sha256=hashlib.sha256(data).hexdigest(),
        dhash=str(imagehash.dhash(picture)),
        phash=str(imagehash.phash(picture)),
    )


def suffix_of(data: bytes) -> str:
    """The end of a file's name that fits its first bytes, such as ".jpg". Raises NotAPicture."""
    reader = find_reader(data)
    if reader is None:
        raise NotAPicture("This is not a picture in a format that is read here.")
    return _SUFFIXES.get(reader.format or "", ".avif")
