"""One indexed picture: its id, its file, and the text and time that are known of it."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from imagetext.wire.index import MAX_CAPTION_CHARACTERS, MAX_PICTURE_CAPTIONS, MAX_PICTURE_TAGS
from imagetext.wire.search_filter import MAX_TAG, tag_key

_UNKNOWN = "unknown-"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One indexed picture.

    A picture that was imported without its file has `unknown_content(id)` as its `sha256` and 0 as `bytes` and
    `mtime_ns`, also as width and height unless the import names them.

    Attributes:
        row: the row of its vector.
        path: relative to the indexed folder, with forward slashes. Bytes that are not UTF-8 are lone surrogates, so the
            path always opens the file but may not be encodable: show `shown_path`.
        sha256: of the file's content.
        width, height: pixels of the upright picture.
        taken: the time on the camera's clock, without a time zone.
        tags, captions: as `clean_tags` and `clean_captions` return them.
    """

    row: int
    id: str
    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    width: int
    height: int
    taken: datetime | None = None
    tags: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    @property
    def was_seen(self) -> bool:
        """Whether the file was there when the picture was indexed."""
        return not self.sha256.startswith(_UNKNOWN)

    @property
    def shown_path(self) -> str:
        """`path` as plain Unicode for replies and logs."""
        return encode_path(self.path).decode("utf-8", "replace")


def picture_id(path: str) -> str:
    """The lasting id of a picture: it changes when the file is moved, not when its content does."""
    return hashlib.sha256(encode_path(path)).hexdigest()[:16]


def encode_path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def unknown_content(id: str) -> str:
    """What stands for the sha256 of a file that was never read; unique for each picture."""
    return _UNKNOWN + id


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are stored: plain Unicode on one line, in their order, without those that differ from an earlier one
    only by case. Tags that are too long or too many are cut off."""
    return _clean(tags, MAX_PICTURE_TAGS, MAX_TAG, tag_key)


def clean_captions(captions: Iterable[str]) -> tuple[str, ...]:
    """Captions as they are stored: as `clean_tags`, but case matters."""
    return _clean(captions, MAX_PICTURE_CAPTIONS, MAX_CAPTION_CHARACTERS, str)


def _clean(texts: Iterable[str], max_texts: int, max_length: int, key: Callable[[str], str]) -> tuple[str, ...]:
    plain = (text.encode("utf-8", "replace").decode("utf-8") for text in texts)  # half a surrogate pair cannot be sent
    lines = (_CONTROLS.sub(" ", text).strip()[:max_length].rstrip() for text in plain)
    first: dict[str, str] = {}
    for line in lines:
        if line:
            first.setdefault(key(line), line)
    return tuple(first.values())[:max_texts]
