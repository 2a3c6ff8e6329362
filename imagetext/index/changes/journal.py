"""How records lie in a file, so that one that is cut off or changed is told from one that is whole.

A frame: magic, position, length of the payload, its CRC-32, CRC-32 of these four; then the payload.

The journal: all changes since the oldest version that is kept, in order, each on the disk before it is acknowledged.

<index>/journal/00000000000000000001.log    records from this position on; the newest file is the one that grows
<index>/journal/.lock                       held by the one who appends, and by nobody else for long

Whoever searches follows by reading what is new. A record whose writer died in the middle is cut off by the next writer;
a damaged one is passed over, and never cut off: only the lost record is lost.
"""

import contextlib
import enum
import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from imagetext.index.changes.records import Record, decode_change
from imagetext.wire.errors import InvalidParameter

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


FOLDER = "journal"
_LOCK = ".lock"
_SUFFIX = ".log"

log = logging.getLogger(__name__)


class JournalReader:
    """Reads on from where it was. Belongs to one thread at a time."""

    def __init__(self, index: Path, after: int) -> None:
        """`after` is the position of the last record that is not wanted."""
        self.position = after
        self.tail = Tail.WHOLE
        self.damaged = 0  # places
        self.file: Path | None = None
        self.offset = 0
        self._folder = index / FOLDER
        self._seen: tuple[int, ...] | None = None
        self._reported: tuple[Path, int] | None = None

    def has_news(self) -> bool:
        """Whether anything was written since the last look; costs microseconds."""
        return self._looks() != self._seen

    def read(self, *, locked: bool = False) -> list[Record]:
        """The records that are new, in order. `locked`: the caller holds the journal's lock."""
        seen = self._looks()
        records: list[Record] = []
        starts = segments(self._folder)
        # To a file that is not the newest nothing is added any more, so what is read of it now is all.
        for start in starts[self._first(starts) :]:
            file = segment_path(self._folder, start)
            if file != self.file:
                self.file, self.offset = file, 0
                seen = None if seen is None else (seen[0], *_looks_of(file))
            records += self._read_file(locked)
        self._seen = seen
        return records

    def wrote(self, frames: bytes, position: int) -> None:
        """What its owner has written behind the last record need not be read."""
        self.offset += len(frames)
        self.position = position

    def _first(self, starts: Sequence[int]) -> int:
        """The place of the file to go on with: the open one, or the one that holds the next record."""
        if self.file is not None:
            return sum(start < int(self.file.stem) for start in starts)
        return max(0, sum(start <= self.position + 1 for start in starts) - 1)

    def _read_file(self, locked: bool) -> list[Record]:
        parsed = self._parse()
        if not locked and (parsed.gaps or parsed.tail is Tail.DAMAGED):
            with _lock(self._folder, fcntl.LOCK_SH):  # nobody writes now: what still looks damaged is
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
                log.error("record %d of the journal cannot be read and is left out", position)
        return records

    def _parse(self) -> Parsed:
        assert self.file is not None
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset)
                return parse_frames(file.read(), self.position)
        except FileNotFoundError:  # removed since: no version that is kept needs it
            return Parsed([], 0, 0, Tail.WHOLE)

    def _report(self, parsed: Parsed) -> None:
        assert self.file is not None
        place = (self.file, self.offset + parsed.end)
        new_tail = parsed.tail is Tail.DAMAGED and place != self._reported
        if new_tail:
            self._reported = place
        if parsed.gaps or new_tail:
            self.damaged += parsed.gaps + new_tail
            log.error("%s of the journal is damaged; what is lost is left out", self.file.name)

    def _looks(self) -> tuple[int, ...] | None:
        try:
            folder = os.stat(self._folder).st_mtime_ns
        except OSError:
            return None
        return (folder, *(() if self.file is None else _looks_of(self.file)))


def _looks_of(file: Path) -> tuple[int, ...]:
    try:
        status = os.stat(file)
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


def segments(folder: Path) -> list[int]:
    """The first positions of the journal's files, in order."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX))


def require_unchanged(index: Path) -> None:
    """Raises InvalidParameter where pictures came or went through the API: an import would not hold them."""
    if (index / FOLDER).is_dir():
        raise InvalidParameter("Pictures were added to this index or deleted; import the data set into another folder.")


def prune_journal(index: Path, merged: int) -> None:
    """Remove the files that hold no record behind the position `merged`; the newest stays, for its number."""
    starts = segments(index / FOLDER)
    for start, following in pairwise(starts):
        if following <= merged + 1:
            segment_path(index / FOLDER, start).unlink(missing_ok=True)


@contextmanager
def journal_lock(index: Path) -> Iterator[None]:
    """Keeps everybody from appending for a moment; at once where there is no journal."""
    with _lock(index / FOLDER, fcntl.LOCK_EX) if (index / FOLDER).is_dir() else contextlib.nullcontext():
        yield


@contextmanager
def _lock(folder: Path, how: int) -> Iterator[None]:
    """The system lets go of it when its holder dies."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        if how == fcntl.LOCK_EX:
            raise
        yield  # a replica that cannot even make the lock reads without it
        return
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def segment_path(folder: Path, start: int) -> Path:
    """The file that begins with a position."""
    return folder / f"{start:020}{_SUFFIX}"
