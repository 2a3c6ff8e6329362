"""Removes what no version needs any more: records that all versions hold, and files of pictures that nobody shows."""

import logging
from pathlib import Path

from imagetext.index.changes.added import AddedPictures
from imagetext.index.changes.journal import JournalReader, journal_lock, prune_journal
from imagetext.index.changes.records import Addition, read_overrides
from imagetext.index.manifest import read_manifest
from imagetext.index.versions import list_versions, version_folder
from imagetext.wire.errors import IndexVersionError

log = logging.getLogger(__name__)


def prune_changes(index: Path) -> None:
    """Only for the holder of the build lock. Does nothing while a version is damaged: what it needs is not known."""
    needed: set[str] = set()
    merged: list[int] = []
    try:
        for version in list_versions(index):
            folder = version_folder(index, version)
            merged.append(read_manifest(folder).merged or 0)
            pictures = (override.picture for override in read_overrides(folder).values())
            needed.update(AddedPictures.name(picture) for picture in pictures if picture is not None)
    except IndexVersionError as error:
        log.warning("Nothing is pruned of the journal. %s", error.detail)
        return
    with journal_lock(index):
        prune_journal(index, min(merged, default=0))
        for record in JournalReader(index, 0).read(locked=True):
            if isinstance(record.change, Addition):
                needed.add(AddedPictures.name(record.change.picture))
        AddedPictures(index).remove_all_but(needed)
