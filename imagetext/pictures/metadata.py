"""Metadata in picture files: the time of capture (EXIF) and keywords (IPTC and XMP)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image, IptcImagePlugin
from PIL.ExifTags import IFD, Base
from PIL.ImageFile import ImageFile

from imagetext.pictures.formats import MeteredFile, find_reader

_IPTC_KEYWORDS = (2, 25)
_EXIF_TIME = "%Y:%m:%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """`taken` is the time on the camera's clock, without a zone; `tags` are as written in the file."""

    taken: datetime | None = None
    tags: tuple[str, ...] = ()


def read_metadata(content: bytes) -> FileMetadata:
    """The metadata of a file that `open_picture` reads; empty if there is none or it is damaged.

    No pixel is decoded: in a JPEG this takes a tenth of a millisecond.
    """
    reader = find_reader(content)
    if reader is None:
        return FileMetadata()
    try:
        with reader(MeteredFile(content)) as picture:
            keywords = [*_lenient(_iptc_keywords, picture), *_lenient(_xmp_keywords, picture)]
            return FileMetadata(next(iter(_lenient(_taken, picture)), None), tuple(dict.fromkeys(keywords)))
    except Exception:  # Pillow raises nearly any exception for damaged files
        return FileMetadata()


def _lenient(read: Callable[[ImageFile], Iterator[Any]], picture: ImageFile) -> list[Any]:
    """Damage in one place does not spoil the others."""
    found = []
    try:
        for value in read(picture):
            found.append(value)
    except Exception:  # as above
        return found
    return found


def _taken(picture: ImageFile) -> Iterator[datetime]:
    exif = Image.Image.getexif(picture)  # the PNG reader's own getexif would decode all pixels
    written = exif.get_ifd(IFD.Exif).get(Base.DateTimeOriginal)
    if written is not None:
        yield datetime.strptime(str(written).strip("\0 ")[:19], _EXIF_TIME)


def _iptc_keywords(picture: ImageFile) -> Iterator[str]:
    written = (IptcImagePlugin.getiptcinfo(picture) or {}).get(_IPTC_KEYWORDS, [])
    for keyword in [written] if isinstance(written, bytes) else written:
        try:
            yield keyword.decode("utf-8")
        except UnicodeDecodeError:
            yield keyword.decode("latin-1")


def _xmp_keywords(picture: ImageFile) -> Iterator[str]:
    """dc:subject, which holds a bag of words."""
    described = picture.getxmp().get("xmpmeta", {}).get("RDF", {}).get("Description", {})
    for part in described if isinstance(described, list) else [described]:
        words = (part.get("subject", {}).get("Bag") or {}).get("li", [])
        yield from (word for word in ([words] if isinstance(words, str) else words) if isinstance(word, str))
