"""`python -m indexer build`: pictures become a new version, once or whenever a folder changes."""

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, watch

from imagetext.index import current_version, read_manifest, version_folder
from imagetext.index.changes.journal import JournalReader
from imagetext.index.remote.location import Location, StoreAddress, folder_name
from imagetext.index.remote.object_store import ObjectStore
from imagetext.pictures import READABLE_SUFFIXES
from imagetext.wire.errors import ImageTextError, IndexVersionError, InvalidParameter
from indexer.arguments import read_wanted
from indexer.build import build
from indexer.descriptions import Description, Descriptions, read_descriptions
from indexer.distributed.on_ray import OnRay
from indexer.label_tags import Labeller
from indexer.reports import Context, Summary, error_sentence
from indexer.sources import FolderSource, Source, open_source
from indexer.transfer_commands import pull_version, push_version

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

WORK = Path("data/index-work")  # for indexes in a store

LOOK_MS = 500  # between two checks whether a build is due
QUIET_MS = 500  # without a change before a build begins, so that a copy of many files is one build
LONGEST_MS = 10_000  # a build begins by then even if the changes have not stopped
RETRY_S = 10.0  # after a failure
MERGE_RECORDS = 1_000  # changes through the API that start a build at once
MERGE_S = 600.0  # fewer of them wait at most this long


def build_command(options: argparse.Namespace, context: Context) -> int:
    wanted = read_wanted(options)
    source = open_source(options.images, options.format)  # before the model is loaded, which takes seconds
    watched = _watched(source) if options.watch else None
    descriptions = _descriptions(options, context)
    encoder = context.load_encoder(options.model)
    if options.labels is not None:
        descriptions = replace(descriptions, labeller=Labeller(encoder, options.labels, options.label_threshold))

    def build_once() -> None:
        def build_in(index: Path) -> Summary:
            pipeline = _pipeline(options, index, context.load_encoder)
            return build(source, index, encoder, wanted, descriptions, encode=pipeline)

        summary = build_at(options.index, options.work, build_in)
        context.say(summary.to_json() if options.json else summary.to_text())

    if watched is None:
        build_once()
    else:
        _watch(watched, options, build_once, context)
    return 0


def build_at(place: Location, work: Path | None, build: Callable[[Path], Summary]) -> Summary:
    """Build in a folder, which is `place` itself or stands for a store, and publish at `place`.

    If the folder has no version yet, the store's current one is copied into it, so that a new machine need not encode
    everything again.

    Args:
        work: where versions for a store are built; None: a folder below `WORK`.
    """
    if isinstance(place, Path):
        return build(place)
    folder = work or WORK / folder_name(place)
    if isinstance(place, StoreAddress):
        store = ObjectStore(place)
        published = store.current()  # asked now: hours may pass before the build needs the store
        if published is not None and current_version(folder) is None:
            pull_version(store, folder, published)
    summary = build(folder)
    push_version(folder, summary.version, place)
    return summary


def _pipeline(options: argparse.Namespace, index: Path, load: Callable[[str], "Encoder"]) -> OnRay | None:
    if options.on is None:
        return None
    model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
    return OnRay(index, partial(load, model), options.on or None)


def _watched(source: Source) -> Path:
    """Raises InvalidParameter unless the source is a folder of pictures."""
    if not isinstance(source, FolderSource):
        raise InvalidParameter("--watch works only with a folder of pictures; build other places with a timer.")
    return Path(source.address)


def _watch(images: Path, options: argparse.Namespace, build: Callable[[], None], context: Context) -> None:
    """Until Ctrl-C, which is how it is meant to end."""
    try:
        watch_folder(images, options.index, build, context.fail)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped watching.\n")


def _descriptions(options: argparse.Namespace, context: Context) -> Descriptions:
    given: dict[str, Description] = {}
    has_file = options.captions is not None and Path(options.captions).is_file()
    for file in ([Path(options.captions)] if has_file else []) + ([options.metadata] if options.metadata else []):
        for path, description in read_descriptions(file).items():
            given[path] = given.get(path, Description()).with_later(description)
    captioner = context.load_captioner(options.captions) if options.captions is not None and not has_file else None
    return Descriptions(given, captioner)


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
