"""Appends to the journal: what is acknowledged is on the disk, and a writer that dies leaves nothing half behind."""

import os
from collections.abc import Sequence
from pathlib import Path

from imagetext.index.changes.added import AddedPictures
from imagetext.index.changes.journal import (
    FOLDER,
    JournalReader,
    Tail,
    journal_lock,
    make_frame,
    segment_path,
    segments,
)
from imagetext.index.changes.records import Addition, Change, encode_change
from imagetext.index.versions import fsync
from imagetext.wire.errors import NotFound


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
        with journal_lock(self._index):
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
        end.file, end.offset, end.tail = segment_path(self._folder, start), 0, Tail.WHOLE
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
