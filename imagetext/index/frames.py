"""How records lie in a file, so that one that is cut off or changed is told from one that is whole.

A frame: magic, position, length of the payload, its CRC-32, CRC-32 of these four; then the payload.
"""

import enum
import struct
import zlib
from dataclasses import dataclass

MAGIC = b"ITJ1"

_FIELDS = struct.Struct("<4sQII")
_SUM = struct.Struct("<I")
HEAD_BYTES = _FIELDS.size + _SUM.size


class Tail(enum.Enum):
    """How a file ends: with a whole frame, within one (its writer died), or with bytes that are no frame."""

    WHOLE = "whole"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Parsed:
    """`frames`: position and payload of each; `end`: bytes up to the end of the last; `gaps`: damaged places between
    frames, which were passed over."""

    frames: list[tuple[int, bytes]]
    end: int
    gaps: int
    tail: Tail


@dataclass(frozen=True)
class _Frame:
    position: int
    payload: bytes
    end: int


def make_frame(position: int, payload: bytes) -> bytes:
    fields = _FIELDS.pack(MAGIC, position, len(payload), zlib.crc32(payload))
    return fields + _SUM.pack(zlib.crc32(fields)) + payload


def parse_frames(content: bytes, after: int) -> Parsed:
    """All whole frames of positions above `after`, each above the one before."""
    frames: list[tuple[int, bytes]] = []
    at = gaps = 0
    while at < len(content):
        frame = _frame_at(content, at)
        if frame is None:
            following = _next_frame(content, at + 1, after)
            if following is None:
                break
            gaps, at = gaps + 1, following
            continue
        if frame.position > after:
            frames.append((frame.position, frame.payload))
            after = frame.position
        at = frame.end
    return Parsed(frames, at, gaps, _tail(content, at))


def _frame_at(content: bytes, at: int) -> _Frame | None:
    length = _payload_bytes(content, at)
    if length is None:
        return None
    _, position, _, checksum = _FIELDS.unpack_from(content, at)
    end = at + HEAD_BYTES + length
    payload = content[at + HEAD_BYTES : end]
    return _Frame(position, payload, end) if len(payload) == length and zlib.crc32(payload) == checksum else None


def _payload_bytes(content: bytes, at: int) -> int | None:
    """What a whole and right head announces."""
    if len(content) - at < HEAD_BYTES:
        return None
    (checksum,) = _SUM.unpack_from(content, at + _FIELDS.size)
    if zlib.crc32(content[at : at + _FIELDS.size]) != checksum:
        return None
    magic, _, length, _ = _FIELDS.unpack_from(content, at)
    return int(length) if magic == MAGIC else None


def _next_frame(content: bytes, start: int, after: int) -> int | None:
    """Where the next whole frame begins behind a damaged one."""
    at = content.find(MAGIC, start)
    while at >= 0:
        frame = _frame_at(content, at)
        if frame is not None and frame.position > after:
            return at
        at = content.find(MAGIC, at + 1)
    return None


def _tail(content: bytes, at: int) -> Tail:
    left = len(content) - at
    if not left:
        return Tail.WHOLE
    length = _payload_bytes(content, at)
    if length is None:
        return Tail.TORN if left < HEAD_BYTES else Tail.DAMAGED
    return Tail.TORN if left < HEAD_BYTES + length else Tail.DAMAGED
