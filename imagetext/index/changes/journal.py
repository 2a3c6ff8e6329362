"""The journal: all changes since the oldest kept version, in order, each on the disk before it is acknowledged.

<index>/journal/00000000000000000001.log    records from this position on; the newest file is the one that grows
<index>/journal/.lock                       held while a writer appends

A file consists of frames: magic, position, length of the payload, CRC-32 of the payload, CRC-32 of these four fields;
then the payload. The next writer cuts off a record whose writer died halfway. A damaged record is skipped and never cut
off, so that only this record is lost.
"""

import contextlib
import enum
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagetext.files import locked, locked_if_possible
from imagetext.index.changes.records import Record, decode_change
from imagetext.wire.errors import InvalidParameter

JOURNAL = "journal"
MAGIC = b"ITJ1"

_FIELDS = struct.Struct("<4sQII")
_SUM = struct.Struct("<I")
HEAD_BYTES = _FIELDS.size + _SUM.size
_LOCK = ".lock"
_SUFFIX = ".log"

log = logging.getLogger(__name__)


class Tail(enum.Enum):
    """How a file ends: with a whole frame, within one (its writer died), or with bytes that are not a frame."""

    WHOLE = "whole"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Parsed:
    """`frames`: position and payload of each; `end`: the offset after the last; `gaps`: how many damaged places between
    frames were skipped."""

    frames: list[tuple[int, bytes]]
    end: int
    gaps: int
    tail: Tail


class JournalReader:
    """Continues after what it has read. Belongs to one thread at a time."""

    def __init__(self, index: Path, after: int) -> None:
        """`after` is the position of the last record to leave out."""
        self.position = after
        self.tail = Tail.WHOLE
        self.damaged = 0  # places that were skipped
        self.file: Path | None = None
        self.offset = 0
        self._folder = index / JOURNAL
        self._seen: tuple[int, ...] | None = None
        self._reported: tuple[Path, int] | None = None

    def has_news(self) -> bool:
        """Whether anything was written since the last read; takes microseconds."""
        return self._status() != self._seen

    def read(self, *, has_lock: bool = False) -> list[Record]:
        """The new records, in order. `has_lock`: the caller holds the journal's lock."""
        seen = self._status()
        records: list[Record] = []
        starts = segments(self._folder)
        # Nothing is added to a file once there is a newer one, so each but the newest is read to its end here.
        for start in starts[self._first(starts) :]:
            file = segment_path(self._folder, start)
            if file != self.file:
                self.file, self.offset = file, 0
                seen = None if seen is None else (seen[0], *_file_status(file))
            records += self._read_file(has_lock)
        self._seen = seen
        return records

    def skip(self, frames: bytes, position: int) -> None:
        """Continue after frames that the reader's owner has just written after the last record."""
        self.offset += len(frames)
        self.position = position

    def _first(self, starts: Sequence[int]) -> int:
        """The index of the file to continue with: the open one, or the one that holds the next record."""
        if self.file is not None:
            return sum(start < int(self.file.stem) for start in starts)
        return max(0, sum(start <= self.position + 1 for start in starts) - 1)

    def _read_file(self, has_lock: bool) -> list[Record]:
        parsed = self._parse()
        if not has_lock and (parsed.gaps or parsed.tail is Tail.DAMAGED):
            # A writer may be at work. Whatever still looks damaged under the lock is.
            with locked_if_possible(self._folder / _LOCK, shared=True):
                parsed = self._parse()
        self._report(parsed)
        self.offset += parsed.end
        self.tail = parsed.tail
        records = []
        for position, payload in parsed.frames:
            self.position = position
            try:
                records.append(Record(position, decode_change(payload)))
            except ValueError:
                self.damaged += 1
                log.error("record %d of the journal cannot be read and is skipped", position)
        return records

    def _parse(self) -> Parsed:
        assert self.file is not None
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset)
                return parse_frames(file.read(), self.position)
        except FileNotFoundError:  # removed in the meantime: no kept version needs it
            return Parsed([], 0, 0, Tail.WHOLE)

    def _report(self, parsed: Parsed) -> None:
        assert self.file is not None
        end = (self.file, self.offset + parsed.end)
        new_tail = parsed.tail is Tail.DAMAGED and end != self._reported
        if new_tail:
            self._reported = end
        if parsed.gaps or new_tail:
            self.damaged += parsed.gaps + new_tail
            log.error("%s of the journal is damaged; the damaged records are skipped", self.file.name)

    def _status(self) -> tuple[int, ...] | None:
        try:
            folder = os.stat(self._folder).st_mtime_ns
        except OSError:
            return None
        return (folder, *(() if self.file is None else _file_status(self.file)))


@contextmanager
def journal_lock(index: Path) -> Iterator[None]:
    """Keep everybody else from appending; does nothing where there is no journal."""
    folder = index / JOURNAL
    with locked(folder / _LOCK) if folder.is_dir() else contextlib.nullcontext():
        yield


def segments(folder: Path) -> list[int]:
    """The first positions of the journal's files, in order."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX))


def segment_path(folder: Path, start: int) -> Path:
    """The file that begins with a position."""
    return folder / f"{start:020}{_SUFFIX}"


def require_unchanged(index: Path) -> None:
    """Raises InvalidParameter if the index was changed through the API: an import would lose those changes."""
    if (index / JOURNAL).is_dir():
        raise InvalidParameter(
            "Pictures of this index were added or deleted through the API; import the data set into another folder."
        )


def make_frame(position: int, payload: bytes) -> bytes:
    fields = _FIELDS.pack(MAGIC, position, len(payload), zlib.crc32(payload))
    return fields + _SUM.pack(zlib.crc32(fields)) + payload


def parse_frames(content: bytes, after: int) -> Parsed:
    """All whole frames with rising positions above `after`."""
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


@dataclass(frozen=True)
class _Frame:
    position: int
    payload: bytes
    end: int


def _frame_at(content: bytes, at: int) -> _Frame | None:
    length = _payload_bytes(content, at)
    if length is None:
        return None
    _, position, _, checksum = _FIELDS.unpack_from(content, at)
    end = at + HEAD_BYTES + length
    payload = content[at + HEAD_BYTES : end]
    return _Frame(position, payload, end) if len(payload) == length and zlib.crc32(payload) == checksum else None


def _payload_bytes(content: bytes, at: int) -> int | None:
    """The length in the head at this offset; None if the head is not whole and intact."""
    if len(content) - at < HEAD_BYTES:
        return None
    (checksum,) = _SUM.unpack_from(content, at + _FIELDS.size)
    if zlib.crc32(content[at : at + _FIELDS.size]) != checksum:
        return None
    magic, _, length, _ = _FIELDS.unpack_from(content, at)
    return int(length) if magic == MAGIC else None


def _next_frame(content: bytes, start: int, after: int) -> int | None:
    """The offset of the next whole frame after a damaged one."""
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


def _file_status(file: Path) -> tuple[int, ...]:
    try:
        status = os.stat(file)
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns
