"""Names of cached answers. Whatever could change an answer is part of its key, so that nothing has to be thrown away:
a new model or index version asks under other keys, and the old ones grow old."""

import hashlib

from imagetext.contracts import CaptionOptions, IndexInfo, SearchRequest

_FORMAT = "imagetext:3"  # another number when the stored bytes change their meaning


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def caption_key(picture: str, options: CaptionOptions, fingerprint: str) -> str:
    """`picture` is the digest of its bytes. Which name the model was asked by does not matter."""
    return f"{_FORMAT}:caption:{fingerprint}:{picture}:{decoding_of(options)}"


def decoding_of(options: CaptionOptions) -> str:
    return digest_of(options.model_dump_json(exclude={"model"}).encode())[:16]


def words_identity(request: SearchRequest) -> str:
    """What is asked of whatever index there is."""
    return f"words:{digest_of(request.model_dump_json().encode())}"


def picture_identity(picture: str, k: int, offset: int) -> str:
    """As `words_identity`; `picture` is the digest of its bytes."""
    return f"picture:{picture}:{k}:{offset}"


def search_key(identity: str, index: IndexInfo) -> str:
    return f"{_FORMAT}:search:{index.version}:{index.fingerprint}:{identity}"
