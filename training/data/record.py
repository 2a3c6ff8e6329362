"""One captioned picture of a merged data set, with where it comes from and what it may be used for."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from imagetext.errors import InvalidParameter

SPLITS = ("train", "dev", "test")  # the later, the further from training: a picture found in two belongs to the later
PICTURES = "Images"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `pictures.parquet`.

    `path` is relative to the folder, with forward slashes, and lies below `Images/`. `width` and `height` are pixels of
    the upright picture. `sha256` is that of the file's bytes; `dhash` and `phash` are 64-bit perceptual hashes in hex
    (`training.data.content`). What nobody knows of `licence`, `author` and `source_url` is an empty string.

    Raises:
        InvalidParameter: a value that no picture can have.
    """

    path: str
    captions: tuple[str, ...]
    split: str
    source: str
    width: int
    height: int
    sha256: str
    dhash: str
    phash: str
    licence: str = ""
    author: str = ""
    source_url: str = ""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.parts[:1] != (PICTURES,) or len(path.parts) < 2 or ".." in path.parts:
            raise InvalidParameter(f"The path {self.path!r} does not lie below {PICTURES}/.")
        if not self.captions or not all(caption.strip() for caption in self.captions):
            raise InvalidParameter(f"{self.path} has no caption, or an empty one.")
        if self.split not in SPLITS:
            raise InvalidParameter(f"{self.path} is in the split {self.split!r}; there are {', '.join(SPLITS)}.")
        if not self.source:
            raise InvalidParameter(f"{self.path} names no source.")
        if self.width < 1 or self.height < 1:
            raise InvalidParameter(f"{self.path} measures {self.width} x {self.height} pixels.")
        if not (_SHA256.fullmatch(self.sha256) and _HASH.fullmatch(self.dhash) and _HASH.fullmatch(self.phash)):
            raise InvalidParameter(f"{self.path} has a hash that is none.")

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name
