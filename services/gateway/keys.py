"""Names of cached answers. Whatever could change an answer is part of its key, so that nothing has to be thrown away:
a new model or index version asks under other keys, and the old ones grow old."""

import hashlib
import json
from collections.abc import Sequence

from imagetext.contracts import IndexInfo, SearchOptions

_PARTS = {"text", "like", "image", "parts"}
_FORMAT = "imagetext:4"  # another number when the stored bytes change their meaning


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def answer_key(task: str, fingerprint: str, picture: str, asked: str) -> str:
    """Of what a model says of a picture; `picture` is the digest of its bytes, `asked` that of the options."""
    return f"{_FORMAT}:{task}:{fingerprint}:{picture}:{asked}"


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
