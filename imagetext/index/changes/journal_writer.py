"""Writes changes: first the file of an added picture, then its record in the journal, each synced to the disk.

A writer that is killed leaves nothing half done that anybody would read. `prune_changes` removes both again once no
version needs them.
"""

import contextlib
import logging
import os
import time
from collections.abc import Sequence, Set
from itertools import pairwise
from pathlib import Path

from imagetext.files import fsync, replacing
from imagetext.index.changes.journal import (
    JOURNAL,
    JournalReader,
    Tail,
    journal_lock,
    make_frame,
    segment_path,
    segments,
)
from imagetext.index.changes.records import Addition, Change, encode_change, read_overrides
from imagetext.index.manifest import read_manifest
from imagetext.index.rows import PictureRow
from imagetext.index.versions import list_versions, version_folder
from imagetext.wire.errors import IndexVersionError, NotFound

_ADDED = "added"
_GRACE_SECONDS = 3_600  # a file is older than its record

log = logging.getLogger(__name__)


class AddedPictures:
    """The files of pictures that were added through the API, beside the versions.

    They are named by id and content, so a picture that is replaced stays there for the versions that still show it.
    """

    def __init__(self, index: Path) -> None:
        self.folder = index / _ADDED

    @staticmethod
    def name(picture: PictureRow) -> str:
        """The path of its file in the folder."""
        return f"{picture.id[:2]}/{picture.id}-{picture.sha256}"

    def has(self, picture: PictureRow) -> bool:
        """Whether the file with this content is here; otherwise it is in the indexed folder."""
        return (self.folder / self.name(picture)).is_file()

    def write(self, id: str, sha256: str, content: bytes) -> int:
        """Write a picture's file, whole or not at all; returns its time of change in ns.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        folder = self.folder / id[:2]
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            fsync(self.folder.parent)
            fsync(self.folder)
        with replacing(folder / f"{id}-{sha256}", sync=True) as new:
            new.write_bytes(content)
            return new.stat().st_mtime_ns

    def remove_all_but(self, needed: Set[str]) -> int:
        """Remove old files whose names are not `needed`; returns how many. Only with the journal's lock."""
        removed = 0
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                old = time.time() - path.stat().st_mtime > _GRACE_SECONDS
                if old and f"{path.parent.name}/{path.name}" not in needed:
                    path.unlink()
                    removed += 1
        return removed


class JournalWriter:
    """Appends to the journal. Several processes may, each with its own writer; a writer belongs to one thread."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._folder = index / JOURNAL
        self._added = AddedPictures(index)
        self._end: JournalReader | None = None

    def append(self, changes: Sequence[Change], after: int = 0) -> list[int]:
        """Write all the changes and force them onto the disk, all with one `fsync`; returns their positions.

        Args:
            after: a position that all of them must follow.

        Raises:
            NotFound: the file of an added picture is gone; nothing was written.
            OSError: the disk is full, or the folder cannot be written. Each of the changes may or may not count.
        """
        self._folder.mkdir(exist_ok=True)
        with journal_lock(self._index):
            end = self._read_on()
            for change in changes:
                if isinstance(change, Addition) and not self._added.has(change.picture):
                    raise NotFound("The picture's file is gone; send it again.")
            first = max(end.position, after) + 1
            if end.file is None or end.tail is Tail.DAMAGED:
                first += end.tail is Tail.DAMAGED  # the lost record may have been known by the next position
                self._begin(end, first)
            frames = [make_frame(first + number, encode_change(change)) for number, change in enumerate(changes)]
            self._write(end, b"".join(frames), first + len(changes) - 1)
        return list(range(first, first + len(changes)))

    def rotate(self) -> int:
        """Begin a new file, so that the earlier ones can be removed; returns the position of the last record."""
        with journal_lock(self._index):
            end = self._read_on()
            if end.file is not None and end.offset:
                self._begin(end, end.position + (2 if end.tail is Tail.DAMAGED else 1))
            return end.position

    def _read_on(self) -> JournalReader:
        if self._end is None:
            starts = segments(self._folder)
            self._end = JournalReader(self._index, after=starts[-1] - 1 if starts else 0)
        self._end.read(has_lock=True)
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
        self._end = None  # after an error the end is read again: others may have read frames that were written whole
        descriptor = os.open(end.file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            written = 0
            while written < len(frames):
                written += os.write(descriptor, frames[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        end.skip(frames, position)
        self._end = end


def prune_changes(index: Path) -> None:
    """Remove records that all versions hold, and files of added pictures that none shows.

    Only for the holder of the build lock. Does nothing while a version is damaged, as what it needs is unknown.
    """
    needed: set[str] = set()
    merged: list[int] = []
    try:
        for version in list_versions(index):
            folder = version_folder(index, version)
            merged.append(read_manifest(folder).merged or 0)
            pictures = (override.picture for override in read_overrides(folder).values())
            needed.update(AddedPictures.name(picture) for picture in pictures if picture is not None)
    except IndexVersionError as error:
        log.warning("the journal is not pruned: %s", error.detail)
        return
    with journal_lock(index):
        prune_journal(index, min(merged, default=0))
        for record in JournalReader(index, 0).read(has_lock=True):
            if isinstance(record.change, Addition):
                needed.add(AddedPictures.name(record.change.picture))
        AddedPictures(index).remove_all_but(needed)


def prune_journal(index: Path, merged: int) -> None:
    """Remove the files with no record after the position `merged`; the newest stays, as it names the next position."""
    for start, following in pairwise(segments(index / JOURNAL)):
        if following <= merged + 1:
            segment_path(index / JOURNAL, start).unlink(missing_ok=True)
