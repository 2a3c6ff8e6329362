"""Merges changes through the API into a new version: added, replaced and deleted pictures.

If an added picture and a file share a path, the newer one wins.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from imagetext.index import SkippedFile, current_version, list_versions, picture_id, read_manifest, version_folder
from imagetext.index.changes.journal import JOURNAL, JournalReader
from imagetext.index.changes.journal_writer import AddedPictures, JournalWriter
from imagetext.index.changes.records import Addition, Over, Override, Record, apply_records, read_overrides
from imagetext.index.manifest import OVERRIDES, verify_file
from imagetext.pictures import FileMetadata
from imagetext.wire.errors import IndexVersionError
from indexer.descriptions import Description
from indexer.encode import encode_items
from indexer.known import KnownVectors
from indexer.reading import ReadPicture
from indexer.sources import FoundFile, Listing, files_in

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

_LOST = "The file that was added is missing or damaged."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Merged:
    """All pictures of the new version, and the overrides it must remember from the journal up to `position`.

    `described` is what came with pictures added since the previous version, by path.
    """

    pictures: list[ReadPicture]
    skipped: list[SkippedFile]
    encoded: int
    position: int | None
    overrides: Mapping[str, Override]
    described: Mapping[str, Description]


class Merging:
    """The changes that the current version has merged, and later ones. Only for the holder of the build lock."""

    def __init__(self, index: Path, merged: int | None, overrides: Mapping[str, Override]) -> None:
        self._index = index
        self._merged = merged
        self._before = overrides
        self._journal = JournalReader(index, merged or 0)
        self._records = self._journal.read()
        self._overrides = apply_records(overrides, self._records)

    @classmethod
    def open(cls, index: Path) -> Self:
        return cls(index, *_latest_state(index))

    @property
    def has_pictures(self) -> bool:
        return any(override.picture is not None for override in self._overrides.values())

    def to_index(self, listing: Listing) -> Listing:
        """The listing without settled files."""
        if listing.files is None:
            return listing
        files = tuple(file for file in listing.files.files if not self.is_settled(file))
        return replace(listing, files=replace(listing.files, files=files))

    def is_settled(self, file: FoundFile) -> bool:
        """Whether a change has replaced or deleted this file, judging by its size and time; then it is not read."""
        override = self._overrides.get(picture_id(file.path)) if self._overrides else None
        over = None if override is None else override.over
        return over is not None and (over.bytes, over.mtime_ns) == (file.bytes, file.mtime_ns)

    def merge(self, listed: Sequence[ReadPicture], encoder: "Encoder", known: KnownVectors) -> Merged:
        """The source's pictures and the added ones, as of now.

        Raises:
            ModelError: the vectors do not have the shape that the encoder states.
        """
        position = self._read_to_the_end()
        if position is None:
            return Merged(list(listed), [], 0, None, {}, {})
        pictures, overrides = _settled(listed, self._overrides)
        _take_vectors(self._records, overrides, encoder, known)
        added = [each.picture for each in overrides.values() if each.picture is not None]
        store = AddedPictures(self._index)
        unknown = [
            FoundFile(store.name(each), each.bytes, each.mtime_ns) for each in added if known.size(each.sha256) is None
        ]
        items = files_in(store.folder, unknown).items(lambda _: True)
        encoded = encode_items(items, encoder, known, lambda _: None).encoded if unknown else 0
        skipped = []
        for each in added:
            if known.size(each.sha256) is None:
                skipped.append(SkippedFile(each.path, _LOST))
            else:
                file = FoundFile(each.path, each.bytes, each.mtime_ns)
                metadata = FileMetadata(each.taken, each.tags)
                pictures.append(ReadPicture(file, each.sha256, each.bytes, each.width, each.height, metadata))
        return Merged(pictures, skipped, encoded, position, overrides, _described(self._records, overrides))

    def changes_nothing(self, merged: Merged) -> bool:
        """Whether the current version has the same position and overrides."""
        return merged.position == self._merged and dict(merged.overrides) == dict(self._before)

    def _read_to_the_end(self) -> int | None:
        """The position of the last change; None if there never was one."""
        if not (self._index / JOURNAL).is_dir():
            return self._merged
        position = max(JournalWriter(self._index).rotate(), self._merged or 0)
        new = [record for record in self._journal.read() if record.position <= position]
        self._records += new
        self._overrides = apply_records(self._overrides, new)
        return position


def _settled(
    listed: Sequence[ReadPicture], overrides: Mapping[str, Override]
) -> tuple[list[ReadPicture], dict[str, Override]]:
    """The source's pictures that no change overrides, and the changes that remain."""
    pictures, left = [], dict(overrides)
    for picture in listed:
        id = picture_id(picture.file.path)
        override = left.get(id)
        if override is None:
            pictures.append(picture)
        elif _file_is_newer(picture, override):
            pictures.append(picture)
            del left[id]
        else:  # its time may be new, though its content is not
            left[id] = replace(override, over=Over(picture.sha256, picture.file.bytes, picture.file.mtime_ns))
    return pictures, left


def _described(records: Sequence[Record], overrides: Mapping[str, Override]) -> dict[str, Description]:
    added = (record.change.picture for record in records if isinstance(record.change, Addition))
    latest = {picture.path: picture for picture in added if picture.id in overrides}
    return {
        path: Description(picture.taken, picture.tags or None, picture.captions or None)
        for path, picture in latest.items()
    }


def _file_is_newer(picture: ReadPicture, override: Override) -> bool:
    if override.over is None:
        return picture.file.mtime_ns > override.time_ns
    return picture.sha256 != override.over.sha256


def _take_vectors(
    records: Sequence[Record], overrides: Mapping[str, Override], encoder: "Encoder", known: KnownVectors
) -> None:
    """Take vectors from the journal, so that no added picture is encoded again."""
    for change in (record.change for record in records):
        if not isinstance(change, Addition) or change.id not in overrides or known.size(change.picture.sha256):
            continue
        if change.fingerprint == encoder.fingerprint and change.vector.shape == (encoder.dimensions,):
            picture = change.picture
            known.work.add(picture.sha256, (picture.width, picture.height), change.vector)
    known.work.commit()


def _latest_state(index: Path) -> tuple[int | None, dict[str, Override]]:
    """Position and overrides of the current version, or if it is damaged, of the newest intact one: the journal still
    has the changes after that."""
    for version in _by_preference(index):
        folder = version_folder(index, version)
        try:
            manifest = read_manifest(folder)
            if manifest.merged is None:
                return None, {}
            verify_file(folder, manifest, OVERRIDES)
            return manifest.merged, read_overrides(folder)
        except IndexVersionError as error:
            log.warning("The changes merged in version %s cannot be used. %s", version, error.detail)
    return None, {}


def _by_preference(index: Path) -> Iterator[str]:
    versions = list_versions(index)
    try:
        current = current_version(index)
    except IndexVersionError:
        current = None
    if current in versions:
        yield current
    yield from (version for version in reversed(versions) if version != current)
