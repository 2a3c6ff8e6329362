"""Tags and captions as they are stored: plain Unicode on one line, each once, not without end."""

import re
from collections.abc import Callable, Iterable

from imagetext.wire.contracts import MAX_CAPTION_CHARACTERS, MAX_PICTURE_CAPTIONS, MAX_PICTURE_TAGS
from imagetext.wire.search_filter import MAX_TAG, tag_key

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """In their order, without those that differ from an earlier one by case alone; what is too much is cut off."""
    return _clean(tags, MAX_PICTURE_TAGS, MAX_TAG, tag_key)


def clean_captions(captions: Iterable[str]) -> tuple[str, ...]:
    """In their order, each once; what is too much is cut off."""
    return _clean(captions, MAX_PICTURE_CAPTIONS, MAX_CAPTION_CHARACTERS, str)


def _clean(texts: Iterable[str], most: int, longest: int, key: Callable[[str], str]) -> tuple[str, ...]:
    plain = (text.encode("utf-8", "replace").decode("utf-8") for text in texts)  # half a surrogate pair cannot be sent
    lines = (_CONTROLS.sub(" ", text).strip()[:longest].rstrip() for text in plain)
    first: dict[str, str] = {}
    for line in lines:
        if line:
            first.setdefault(key(line), line)
    return tuple(first.values())[:most]
