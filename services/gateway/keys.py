"""Names of cached answers. Whatever could change an answer is part of its key, so that nothing has to be thrown away:
a new model or index version asks under other keys, and the old ones grow old."""

import hashlib
import json
from collections.abc import Sequence

from imagetext.contracts import CaptionOptions, IndexInfo, SearchOptions

_PARTS = {"text", "like", "image", "parts"}
_FORMAT = "imagetext:4"  # another number when the stored bytes change their meaning


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def caption_key(picture: str, options: CaptionOptions, fingerprint: str) -> str:
    """`picture` is the digest of its bytes. Which name the model was asked by does not matter."""
    return f"{_FORMAT}:caption:{fingerprint}:{picture}:{decoding_of(options)}"


def decoding_of(options: CaptionOptions) -> str:
    return digest_of(options.model_dump_json(exclude={"model"}).encode())[:16]


def query_identity(parts: Sequence[tuple[str, str, float]], options: SearchOptions) -> str:
    """What is asked of whatever index there is: the same for the same parts in any order, in any of the forms.

    `parts` are kind, content and weight; for a picture the content is the digest of its bytes.
    """
    largest = max(weight for _, _, weight in parts)  # which counts as 1
    said = sorted((kind, content, weight / largest) for kind, content, weight in parts)
    beside = options.model_dump_json(exclude=_PARTS, exclude_defaults=True)
    return f"query:{digest_of((json.dumps(said) + beside).encode())}"


def search_key(identity: str, index: IndexInfo) -> str:
    return f"{_FORMAT}:search:{index.version}:{index.fingerprint}:{identity}"
