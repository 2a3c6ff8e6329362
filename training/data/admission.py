"""Why an address gave no picture.

What a picture is told by: its size, the hash of its bytes, and two hashes of what it looks like.

dhash compares neighbouring pixels of the picture at 9 x 8, phash the lowest 8 x 8 frequencies of its cosine transform
with their median. Both survive scaling and recompression. Source: C. Zauner (2010), "Implementation and Benchmarking of
Perceptual Image Hash Functions"; computed by the library ImageHash.

Pictures that look the same although their bytes differ: scaled, recompressed, slightly cropped.

Which pictures of the open internet a data set takes, after a real decode.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Protocol

import imagehash
from PIL import Image

from imagetext.pictures import DEFAULT_LIMITS, Limits, open_picture
from imagetext.pictures.formats import find_reader
from imagetext.wire.errors import ImageTextError, InvalidParameter, NotAPicture, TooLarge


class Reason(Enum):
    """Value: a name for reports, what it means, and whether another run may have more luck."""

    BAD_ADDRESS = "bad address", "not an http or https address", False
    PRIVATE = "private address", "the host lies in a private network", False
    UNKNOWN_HOST = "unknown host", "the host's name has no address", True
    UNREACHABLE = "unreachable", "no connection could be made", True
    BROKEN_OFF = "broken off", "the host broke off its answer", True
    TIMEOUT = "too slow", "the download took longer than it may", True
    BUSY = "busy", "the host had no time each time it was asked, or asks to wait too long", True
    HOST_GIVEN_UP = "host given up", "the host failed too often in a row and was not asked again", True
    SERVER_ERROR = "server error", "the host answers with a status from 500", True
    GONE = "gone", "the host answers with status 404 or 410", False
    REFUSED = "refused", "the host answers with another status below 500", False
    REDIRECTS = "too many redirects", "more redirects than are followed", False
    OPTED_OUT = "opted out", "the host asks in X-Robots-Tag not to use the picture", False
    TOO_LARGE = "too large", "more bytes or pixels than a picture may have", False
    NOT_A_PICTURE = "not a picture", "what lies there is in no picture format that is read", False
    DAMAGED = "damaged", "the picture cannot be decoded to its end", False
    TOO_SMALL = "too small", "the shorter side has too few pixels", False
    ELONGATED = "elongated", "one side is many times the other", False
    BLANK = "blank", "the whole picture has one colour", False
    UNEXPECTED = "unexpected", "something else went wrong; the journal has its name", True
    PLACEHOLDER = "placeholder", "the same file lies at many addresses: no picture of what they promise", False
    NEAR_DUPLICATE = "near-duplicate", "looks like an earlier picture", False

    def __init__(self, label: str, meaning: str, passing: bool) -> None:
        self.label = label
        self.meaning = meaning
        self.passing = passing

    @classmethod
    def named(cls, label: str) -> "Reason":
        return next(reason for reason in cls if reason.label == label)


class Lost(Exception):
    """An address that gave no picture; `detail` is a status or the like, for the journal.

    `wait_s` is how long the host wants to be left alone, `again` whether the same run may ask again.
    """

    def __init__(
        self, reason: Reason, detail: str = "", *, wait_s: float | None = None, again: bool | None = None
    ) -> None:
        super().__init__(f"{reason.label} {detail}".strip())
        self.reason = reason
        self.detail = detail
        self.wait_s = wait_s
        self.again = reason.passing if again is None else again


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


# Measured on Flickr8k: scaled to half, saved again at quality 30 or made 15 % brighter, 99 of 100 pictures stay within
# both; no two different ones of its 24 million pairs come nearer than dhash 9 and phash 14 at once.
MAX_PHASH, MAX_DHASH = 6, 8  # of 64 bits

_BANDS = MAX_PHASH + 1


class Hashed(Protocol):
    @property
    def dhash(self) -> str: ...
    @property
    def phash(self) -> str: ...


class NearDuplicates:
    """Remembers pictures by their hashes and finds the first one that a new one looks like.

    Exact: two phashes that differ in at most six bits agree in at least one of seven bands (Norouzi, Punjani, Fleet
    2012, "Fast Search in Hamming Space with Multi-Index Hashing"). A look-up takes a fraction of a millisecond among
    100,000 pictures and grows with their number.
    """

    def __init__(self) -> None:
        self._phashes: list[int] = []
        self._dhashes: list[int] = []
        self._rows: list[defaultdict[int, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]

    def add(self, picture: Hashed) -> int:
        """Remember a picture; returns its number, counted from 0."""
        number = len(self._phashes)
        phash = int(picture.phash, 16)
        self._phashes.append(phash)
        self._dhashes.append(int(picture.dhash, 16))
        for rows, band in zip(self._rows, _bands(phash), strict=True):
            rows[band].append(number)
        return number

    def find(self, picture: Hashed) -> int | None:
        """The number of the first picture that looks like this one."""
        return min(self.find_all(picture), default=None)

    def find_all(self, picture: Hashed) -> set[int]:
        phash, dhash = int(picture.phash, 16), int(picture.dhash, 16)
        candidates = {
            number
            for rows, band in zip(self._rows, _bands(phash), strict=True)
            for number in rows.get(band, ())
            if (phash ^ self._phashes[number]).bit_count() <= MAX_PHASH
        }
        return {number for number in candidates if (dhash ^ self._dhashes[number]).bit_count() <= MAX_DHASH}


def near_pairs(pictures: Iterable[Hashed]) -> Iterator[tuple[int, int]]:
    """(earlier, later) positions of all pictures that look the same, identical ones among them."""
    index = NearDuplicates()
    for position, picture in enumerate(pictures):
        yield from ((earlier, position) for earlier in sorted(index.find_all(picture)))
        index.add(picture)


def _bands(phash: int) -> list[int]:
    """Seven parts of a 64-bit hash, nine or ten bits each."""
    edges = [64 * band // _BANDS for band in range(_BANDS + 1)]
    return [phash >> low & (1 << high - low) - 1 for low, high in pairwise(edges)]


_QUALITY = 92  # of JPEG, for pictures that are made smaller


@dataclass(frozen=True)
class Admission:
    """`min_side` in pixels, `max_aspect` longer to shorter side; `side`: a larger shorter side is scaled down to it.

    Raises:
        InvalidParameter: `side` is smaller than `min_side`.
    """

    min_side: int = 64
    max_aspect: float = 5.0
    side: int | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if self.side is not None and self.side < max(self.min_side, 1):
            raise InvalidParameter(f"Pictures made smaller would have {self.side} pixels; {self.min_side} are needed.")

    def admit(self, data: bytes) -> tuple[bytes, str, Content]:
        """The file to keep, its suffix and what it is told by. Raises Lost."""
        picture = self._decoded(data)
        if min(picture.size) < self.min_side:
            raise Lost(Reason.TOO_SMALL, f"{picture.width} x {picture.height}")
        if max(picture.size) > self.max_aspect * min(picture.size):
            raise Lost(Reason.ELONGATED, f"{picture.width} x {picture.height}")
        if len(picture.getcolors(1) or ()) == 1:
            raise Lost(Reason.BLANK)
        if self.side is not None and min(picture.size) > self.side:
            picture, data = _scaled(picture, self.side)
        return data, suffix_of(data), content_of(data, picture)

    def _decoded(self, data: bytes) -> Image.Image:
        try:
            return open_picture(data, self.limits)
        except TooLarge as error:
            raise Lost(Reason.TOO_LARGE, error.detail) from error
        except NotAPicture as error:
            raise Lost(Reason.NOT_A_PICTURE) from error
        except ImageTextError as error:
            raise Lost(Reason.DAMAGED) from error


def _scaled(picture: Image.Image, side: int) -> tuple[Image.Image, bytes]:
    scale = side / min(picture.size)
    smaller = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.save(file, "JPEG", quality=_QUALITY)
    return smaller, file.getvalue()
