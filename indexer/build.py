"""A build: the pictures of a source and those that came through the API become a published index version."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from imagetext.index import EncoderRef, IndexOptions, PictureRow, SkippedFile, picture_id, publish, write_version
from imagetext.index.changes.journal import JOURNAL
from imagetext.index.changes.journal_writer import prune_changes
from imagetext.index.rows import clean_tags, encode_path
from imagetext.index.versions import prune_versions, remove_leftovers
from imagetext.wire.errors import NotFound
from indexer.captioning import caption_rows
from indexer.descriptions import NOTHING, Description, Descriptions, describe, with_added
from indexer.encode import Encoding, InThisProcess, Pipeline
from indexer.known import KnownVectors, PreviousVersion, WorkFile, open_previous
from indexer.label_tags import LabelTags, to_carried, with_label_tags
from indexer.merging import Merged, Merging
from indexer.publishing import KEPT_VERSIONS, Progress, build_lock, question_vectors, reported
from indexer.reading import ReadPicture
from indexer.reports import Summary, printable
from indexer.sources import FileShard, FolderSource, Listing, Source

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder


def build(
    images: Path | Source,
    index: Path,
    encoder: "Encoder",
    wanted: IndexOptions | None = None,
    descriptions: Descriptions = NOTHING,
    *,
    encode: Pipeline | None = None,
) -> Summary:
    """List, encode what is new, describe and caption, write a version, publish it and prune the oldest.

    At every moment the current version is the old or the new one, complete.

    Args:
        images: where the pictures come from; a path is that of a folder.
        wanted: the kind of index, its recall and memory; None: as for the current version.
        descriptions: given captions, tags and times, a captioner for pictures without captions, and a labeller. What is
            given overrides the captions of the source, and these what the current version knows about a picture.
        encode: where the pictures are read and encoded; None: in this process.

    Raises:
        InvalidParameter: no kind of index gives what is wanted, or descriptions are for none of the pictures.
        NotFound: no folder, or no readable picture in it; the current version stays.
        Unavailable: the object store, or the cluster, does not answer.
        Busy: another build is running on this index.
        IndexVersionError: the version cannot be written.
        ModelError: the vectors do not have the shape that the encoder states.
    """
    started = time.monotonic()
    source = FolderSource(images) if isinstance(images, Path) else images
    root, listing = source.address, source.list()
    if listing.is_empty() and not (index / JOURNAL).is_dir():
        raise _no_picture(root, listing.skipped)
    index.mkdir(parents=True, exist_ok=True)
    with build_lock(index), reported(index) as progress:
        remove_leftovers(index)
        merging = Merging.open(index)
        listing = merging.to_index(listing)
        with _open_known(index, encoder, root) as known:
            pipeline = encode or InThisProcess(merging.is_settled)
            outcome = _encode(listing, root, encoder, known, progress, pipeline)
            merged = merging.merge(outcome.pictures, encoder, known)
            skipped, encoded = [*outcome.skipped, *merged.skipped], outcome.encoded + merged.encoded
            if not merged.pictures:
                raise _no_picture(root, skipped)
            sourced = _captions_of(merged.pictures)
            rows, unmatched = describe(_number(merged.pictures), known.previous, descriptions.given, sourced)
            rows = with_added(rows, merged.described, descriptions.given)
            rows = caption_rows(rows, listing, descriptions.captioner, known.work)
            wanted = wanted or (known.previous.wanted if known.previous else IndexOptions())
            labels = descriptions.labeller.tags(rows, known.vector) if descriptions.labeller else {}
            version = _unchanged_version(known.previous, rows, labels, skipped, root, wanted)
            changed = version is None or not merging.changes_nothing(merged)
            if version is None or changed:
                version = _write(rows, labels, skipped, root, index, encoder, known, wanted, progress, merged)
                progress.stage("publishing")
                publish(index, version)
            known.work.delete()
        prune_versions(index, KEPT_VERSIONS)
        prune_changes(index)
    reused, captioned = len(rows) - encoded, sum(bool(row.captions) for row in rows)
    seconds = time.monotonic() - started
    return Summary(changed, version, len(rows), encoded, reused, skipped, seconds, captioned, unmatched, len(labels))


def _open_known(index: Path, encoder: "Encoder", root: str) -> KnownVectors:
    previous = open_previous(index, encoder.fingerprint, encoder.dimensions)
    return KnownVectors(previous, WorkFile.open(index, encoder.fingerprint, encoder.dimensions, root))


def _encode(
    listing: Listing, root: str, encoder: "Encoder", known: KnownVectors, progress: Progress, pipeline: Pipeline
) -> Encoding:
    """All pictures that can be indexed, all skipped files, and the number of encoded pictures."""
    unchanged, files = _split(listing.files, root, known)
    done, total = len(unchanged), listing.size()
    progress.stage("encoding", done=done, total=total)
    # disable=None: a bar on a terminal only
    with tqdm(total=total, initial=done, unit="picture", disable=None) as bar:

        def advance(pictures: int) -> None:
            bar.update(pictures)
            progress.advance(pictures)

        outcome = pipeline(Listing(files, listing.shards), root, encoder, known, advance)
    outcome = Encoding(unchanged, list(listing.skipped)).plus(outcome)
    outcome.skipped.sort(key=lambda file: encode_path(file.path))
    return outcome


def _split(files: FileShard | None, root: str, known: KnownVectors) -> tuple[list[ReadPicture], FileShard | None]:
    """The files whose content is known by size and time, and those that must be read."""
    unchanged, to_read = [], []
    for file in files.files if files else ():
        content = known.unchanged(file, root)
        if content is None:
            to_read.append(file)
        else:
            unchanged.append(ReadPicture(file, *content))
    return unchanged, files and replace(files, files=tuple(to_read))


def _captions_of(pictures: Sequence[ReadPicture]) -> dict[str, Description]:
    """The captions of the source, by path."""
    return {each.file.path: Description(captions=each.captions) for each in pictures if each.captions}


def _number(pictures: Sequence[ReadPicture]) -> list[PictureRow]:
    return [
        PictureRow(
            row=row,
            id=picture_id(picture.file.path),
            path=picture.file.path,
            sha256=picture.sha256,
            bytes=picture.bytes,
            mtime_ns=picture.file.mtime_ns,
            width=picture.width,
            height=picture.height,
            taken=picture.metadata.taken,
            tags=clean_tags(picture.metadata.tags),
        )
        for row, picture in enumerate(sorted(pictures, key=lambda picture: encode_path(picture.file.path)))
    ]


def _unchanged_version(
    previous: PreviousVersion | None,
    rows: Sequence[PictureRow],
    labels: LabelTags,
    skipped: Sequence[SkippedFile],
    root: str,
    wanted: IndexOptions,
) -> str | None:
    """The current version if a new one would be the same but for the times of unchanged files."""
    if previous is None or previous.images_address != root or previous.skipped != skipped:
        return None
    if not previous.gives(wanted):
        return None
    if list(map(_shown, previous.rows)) != list(map(_shown, rows)) or previous.label_tags != labels:
        return None
    return previous.version


def _shown(row: PictureRow) -> tuple[object, ...]:
    """What searches show of a picture."""
    return row.id, row.sha256, row.taken, row.tags, row.captions


def _write(
    rows: Sequence[PictureRow],
    labels: LabelTags,
    skipped: Sequence[SkippedFile],
    root: str,
    index: Path,
    encoder: "Encoder",
    known: KnownVectors,
    wanted: IndexOptions,
    progress: Progress,
    merged: Merged,
) -> str:
    progress.stage("writing")
    vectors = np.empty((len(rows), encoder.dimensions), dtype=np.float32)
    for row in rows:
        vectors[row.row] = known.vector(row.sha256)
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    texts = question_vectors(encoder, wanted, len(rows))
    return write_version(
        index,
        with_label_tags(rows, labels),
        vectors,
        encoder=made_by,
        images_root=root,
        skipped=skipped,
        options=wanted,
        texts=texts,
        stage=progress.stage,
        carried=to_carried(labels) if labels else None,
        merged=merged.position,
        overrides=list(merged.overrides.values()),
    )


def _no_picture(root: str, skipped: Sequence[SkippedFile]) -> NotFound:
    sentence = f"There is no readable picture in {printable(root)}."
    if skipped:
        first = skipped[0]
        sentence += f" {len(skipped)} skipped, the first of them {printable(first.path)}: {first.reason}"
    return NotFound(sentence)
