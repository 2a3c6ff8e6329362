"""Marks what is cached, so that it can be handed out unread: bytes that somebody else put there lack the mark."""

import zlib

_MARK_BYTES = 4


def sealed(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_MARK_BYTES, "big") + content


def unsealed(value: bytes | None) -> bytes | None:
    """What was sealed; None for nothing, and for anything else."""
    if value is None:
        return None
    mark, content = value[:_MARK_BYTES], value[_MARK_BYTES:]
    return content if content and mark == zlib.crc32(content).to_bytes(_MARK_BYTES, "big") else None
