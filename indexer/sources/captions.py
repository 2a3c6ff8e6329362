"""Captions as data sets write them down."""

from typing import Any

COLUMNS = ("caption", "captions", "text", "sentence", "sentences")


def captions_in(value: Any) -> tuple[str, ...]:
    """A text, a list of texts, or an object that has one of COLUMNS -> captions on one line each, none empty."""
    if isinstance(value, dict):
        return next((captions_in(value[name]) for name in COLUMNS if value.get(name)), ())
    if isinstance(value, list):
        return tuple(caption for part in value for caption in captions_in(part))
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return (text,) if text else ()
