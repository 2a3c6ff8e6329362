"""Names of cached answers. Whatever could change an answer is part of its key, so that nothing has to be thrown away:
a new model or index version asks under other keys, and the old ones grow old.

Names of pictures by their content.

Marks what is cached, so that it can be handed out unread: bytes that somebody else put there lack the mark.
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Sequence

from imagetext.wire.contracts import IndexInfo, SearchOptions

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


_AT_ONCE_BYTES = 256 * 1024  # are hashed before another thread would have begun to


async def digests_of(pictures: Sequence[bytes]) -> list[str]:
    """The digest of each picture; of much the event loop is kept free."""
    if sum(map(len, pictures)) <= _AT_ONCE_BYTES:
        return _digests(pictures)
    return await asyncio.to_thread(_digests, pictures)


def _digests(pictures: Sequence[bytes]) -> list[str]:
    return [digest_of(picture) for picture in pictures]


_MARK_BYTES = 4


def sealed(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_MARK_BYTES, "big") + content


def unsealed(value: bytes | None) -> bytes | None:
    """What was sealed; None for nothing, and for anything else."""
    if value is None:
        return None
    mark, content = value[:_MARK_BYTES], value[_MARK_BYTES:]
    return content if content and mark == zlib.crc32(content).to_bytes(_MARK_BYTES, "big") else None
