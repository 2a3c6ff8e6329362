"""Watches a folder: builds a new version when its files have changed, or when enough changes came through the API."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watchfiles import Change, watch

from imagetext.index import current_version, read_manifest, version_folder
from imagetext.index.changes.journal import JournalReader
from imagetext.pictures import READABLE_SUFFIXES
from imagetext.wire.errors import ImageTextError, IndexVersionError
from indexer.reports import error_sentence

LOOK_MS = 500  # between two checks whether a build is due
QUIET_MS = 500  # without a change before a build begins, so that a copy of many files is one build
LONGEST_MS = 10_000  # a build begins by then even if the changes have not stopped
RETRY_S = 10.0  # after a failure
MERGE_RECORDS = 1_000  # changes through the API that start a build at once
MERGE_S = 600.0  # fewer of them wait at most this long


class Pending:
    """Changes through the API that the published version has not merged."""

    def __init__(self, index: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._index = index
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Start counting again, after a build, from what it has merged."""
        self._reader = JournalReader(self._index, _merged(self._index))
        self._number = 0
        self._since: float | None = None

    def is_due(self) -> bool:
        self._number += len(self._reader.read())
        if not self._number:
            return False
        if self._since is None:
            self._since = self._clock()
        return self._number >= MERGE_RECORDS or self._clock() - self._since >= MERGE_S


def watch_folder(images: Path, index: Path, build: Callable[[], None], fail: Callable[[str], object]) -> None:
    """Call `build` at once and whenever it is due, until interrupted.

    If a build fails, `fail` is told, unless the error is the same as the last time, and the build is tried again.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    pending, due, failure, retry_at = Pending(index), False, None, 0.0
    for changed in _changes(images, index):
        due = due or changed or pending.is_due()
        if not due or (not changed and time.monotonic() < retry_at):
            continue
        try:
            build()
            pending.forget()
            due, failure = False, None
        except (ImageTextError, OSError, sqlite3.Error) as error:
            sentence = error_sentence(error)
            if sentence != failure:
                fail(sentence)
            failure, retry_at = sentence, time.monotonic() + RETRY_S


def _changes(images: Path, index: Path) -> Iterator[bool]:
    """Whether something in the folder changed since the last check, twice a second, also while it is missing."""
    there = True
    while True:
        begins = True  # as it may have changed before it was watched
        try:
            identity = _identity(images)
            for changes in watch(
                images,
                watch_filter=lambda change, path: _matters(change, Path(path), images, index),
                debounce=LONGEST_MS,
                step=QUIET_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                raise_interrupt=True,
                ignore_permission_denied=True,
            ):
                yield begins or bool(changes)
                begins, there = False, True
                if _identity(images) != identity:
                    break
        except OSError:
            yield there  # to be reported once
            there = False
            time.sleep(LOOK_MS / 1000)


def _matters(change: Change, path: Path, images: Path, index: Path) -> bool:
    """A deleted file always counts: it may have been a folder of pictures."""
    if path.is_relative_to(os.path.abspath(index)):
        return False
    inside = path.relative_to(os.path.abspath(images)) if path.is_relative_to(os.path.abspath(images)) else path
    if any(part.startswith(".") for part in inside.parts):
        return False
    return change is Change.deleted or path.suffix.lower() in READABLE_SUFFIXES or path.is_dir()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _merged(index: Path) -> int:
    try:
        version = current_version(index)
        return 0 if version is None else read_manifest(version_folder(index, version)).merged or 0
    except IndexVersionError:
        return 0
