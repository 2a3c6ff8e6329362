"""The journal: all changes since the oldest version that is kept, in order, each on the disk before it is acknowledged.

<index>/journal/00000000000000000001.log    records from this position on; the newest file is the one that grows
<index>/journal/.lock                       held by the one who appends, and by nobody else for long

Whoever searches follows by reading what is new. A record whose writer died in the middle is cut off by the next writer;
a damaged one is passed over, and never cut off: only the lost record is lost.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from imagetext.errors import NotFound
from imagetext.index.added import AddedPictures
from imagetext.index.changes import Addition, Change, Record, decode_change, encode_change
from imagetext.index.frames import Parsed, Tail, make_frame, parse_frames
from imagetext.index.versions import fsync

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
            file = _segment(self._folder, start)
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


class JournalWriter:
    """Appends; several processes may, each with a writer of its own. Belongs to one thread at a time."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._folder = index / FOLDER
        self._added = AddedPictures(index)
        self._end: JournalReader | None = None

    def append(self, changes: Sequence[Change], after: int = 0) -> list[int]:
        """Write all the changes and force them onto the disk, all with one `fsync`; returns their positions.

        Args:
            after: a position that all of them must lie behind.

        Raises:
            NotFound: the file of an added picture has gone; nothing was written.
            OSError: the disk is full, or the folder cannot be written. Each of the changes may or may not count.
        """
        self._folder.mkdir(exist_ok=True)
        with _lock(self._folder, fcntl.LOCK_EX):
            end = self._read_on()
            for change in changes:
                if isinstance(change, Addition) and not self._added.has(change.picture):
                    raise NotFound("The picture's file has gone; send it again.")
            first = max(end.position, after) + 1
            if end.file is None or end.tail is Tail.DAMAGED:
                first += end.tail is Tail.DAMAGED  # the lost record may have been known by the next number
                self._begin(end, first)
            frames = [make_frame(first + number, encode_change(change)) for number, change in enumerate(changes)]
            self._write(end, b"".join(frames), first + len(changes) - 1)
        return list(range(first, first + len(changes)))

    def rotate(self) -> int:
        """Begin a new file, so that those before it can be removed once; returns the position of the last record."""
        with journal_lock(self._index):
            end = self._read_on()
            if end.file is not None and end.offset:
                self._begin(end, end.position + (2 if end.tail is Tail.DAMAGED else 1))
            return end.position

    def _read_on(self) -> JournalReader:
        if self._end is None:
            starts = segments(self._folder)
            self._end = JournalReader(self._index, after=starts[-1] - 1 if starts else 0)
        self._end.read(locked=True)
        if self._end.file is not None and self._end.tail is Tail.TORN:
            os.truncate(self._end.file, self._end.offset)
            self._end.tail = Tail.WHOLE
        return self._end

    def _begin(self, end: JournalReader, start: int) -> None:
        end.file, end.offset, end.tail = _segment(self._folder, start), 0, Tail.WHOLE
        end.file.touch()
        fsync(self._folder)
        fsync(self._index)

    def _write(self, end: JournalReader, frames: bytes, position: int) -> None:
        assert end.file is not None
        self._end = None  # after an error it is looked at anew: frames that came out whole may have been read by others
        descriptor = os.open(end.file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            written = 0
            while written < len(frames):
                written += os.write(descriptor, frames[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        end.wrote(frames, position)
        self._end = end


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


def prune_journal(index: Path, merged: int) -> None:
    """Remove the files that hold no record behind the position `merged`; the newest stays, for its number."""
    starts = segments(index / FOLDER)
    for start, following in pairwise(starts):
        if following <= merged + 1:
            _segment(index / FOLDER, start).unlink(missing_ok=True)


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


def _segment(folder: Path, start: int) -> Path:
    return folder / f"{start:020}{_SUFFIX}"
