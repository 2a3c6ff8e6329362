"""The parts of a search, each with a weight, from any form of request."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imagetext.wire.errors import InvalidParameter
from imagetext.wire.search import MAX_QUERY_PARTS, ImageSearchOptions, QueryPart, SearchRequest

UNWANTED = -1.0  # the weight of a word after a minus

# Matched in this order: unwanted words, and quoted phrases, in which a minus does not count.
_MARKED = re.compile(r'(?<!\S)(?:-"(?P<phrase>[^"]+)"|-(?P<word>[^\W\d_]\S*)|"(?P<quoted>[^"]+)"(?!\S))')
_CLOSING = ".,;:!?"


@dataclass(frozen=True)
class Part:
    """`content` is a text, the id of an indexed picture, or a picture as bytes or base64."""

    kind: Literal["text", "like", "image"]
    content: str | bytes
    weight: float


def parts_of(request: SearchRequest) -> list[Part]:
    """The parts of a request: at least one has a positive weight, and no text is empty.

    Raises:
        InvalidParameter: there is nothing to search for, or a part is impossible.
    """
    if not request.parts and request.like is None and request.image is None:
        if request.text is None:
            raise InvalidParameter("Send at least one of the fields `text`, `like`, `image` and `parts`.")
        if "-" not in request.text:  # as most are
            return [_text_part(request.text, 1.0)]
    texts = [] if request.text is None else _text_parts(request.text)
    named = [Part("like", request.like, 1.0)] if request.like is not None else []
    sent = [Part("image", request.image, 1.0)] if request.image is not None else []
    return _possible([*texts, *named, *sent, *map(_part, request.parts)], hybrid=request.hybrid)


def parts_with_picture(picture: bytes, options: ImageSearchOptions) -> list[Part]:
    """A picture's bytes and the other parts of the query. Raises InvalidParameter."""
    texts = [] if options.text is None else _text_parts(options.text)
    named = [Part("like", options.like, 1.0)] if options.like is not None else []
    return _possible([Part("image", picture, 1.0), *texts, *named], hybrid=options.hybrid)


def parse(text: str) -> tuple[str, list[str]]:
    """The wanted rest of a text, and its words and quoted phrases after a minus.

    A minus counts in front of a letter or a quotation mark, at the start or after white space, but not in a quoted
    phrase: `black-and-white`, `dogs - cats` and `-5` stay as they are, and so does `"rock -paper"`, without its marks.
    """
    unwanted: list[str] = []

    def take(found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return found["quoted"] if _MARKED.search(found["quoted"]) else found[0]
        unwanted.append(found["phrase"] or found["word"].rstrip(_CLOSING))
        return ""

    wanted = _MARKED.sub(take, text)
    return _spaced(wanted), [phrase for phrase in map(_spaced, unwanted) if phrase]


def wanted_words(parts: Sequence[Part]) -> str:
    """All wanted texts, joined."""
    return " ".join(part.content for part in parts if isinstance(part.content, str) and _is_wanted_text(part))


def _is_wanted_text(part: Part) -> bool:
    return part.kind == "text" and part.weight > 0


def _possible(parts: list[Part], *, hybrid: bool) -> list[Part]:
    if len(parts) > MAX_QUERY_PARTS:
        raise InvalidParameter(f"A query has at most {MAX_QUERY_PARTS} parts, unwanted words included.")
    if all(part.weight < 0 for part in parts):
        raise InvalidParameter("The query has only unwanted parts. Add to `text` what should be found.")
    if hybrid and not any(map(_is_wanted_text, parts)):
        raise InvalidParameter("Field `hybrid`: it needs `text`.")
    return parts


def _text_parts(text: str) -> list[Part]:
    wanted, unwanted = parse(text)
    parts = [Part("text", each, UNWANTED) for each in unwanted]
    return [_text_part(wanted, 1.0), *parts] if wanted or not unwanted else parts


def _part(part: QueryPart) -> Part:
    given = [name for name in ("text", "like", "image") if getattr(part, name) is not None]
    if len(given) != 1:
        raise InvalidParameter("Each of `parts` has exactly one of `text`, `like` and `image`.")
    if part.weight == 0:
        raise InvalidParameter("Field `weight` must not be 0; leave the part out instead.")
    if part.text is not None:
        return _text_part(part.text, part.weight)
    if part.like is not None:
        return Part("like", part.like, part.weight)
    return Part("image", part.image or "", part.weight)


def _text_part(text: str, weight: float) -> Part:
    """Collapses white space, which tokenizers ignore too."""
    text = _spaced(text)
    if not text:
        raise InvalidParameter("Field `text` has no words.")
    return Part("text", text, weight)


def _spaced(text: str) -> str:
    return " ".join(text.split())
