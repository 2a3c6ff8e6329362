"""A folder of pictures, and what came through the API, to a published index version."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from imagetext.errors import NotFound
from imagetext.index import EncoderRef, PictureRow, SkippedFile, Wanted, picture_id, publish, write_version
from imagetext.index.journal import FOLDER as JOURNAL
from imagetext.index.pruning import prune_changes
from imagetext.index.rows import encode_path
from imagetext.index.texts import clean_tags
from imagetext.index.versions import prune_versions, remove_leftovers
from indexer.captioning import caption_rows
from indexer.descriptions import NOTHING, Descriptions, describe, with_added
from indexer.encode import ReadPicture, encode_files
from indexer.known import KnownVectors
from indexer.lock import build_lock
from indexer.merging import Merged, Merging
from indexer.previous import PreviousVersion, open_previous
from indexer.progress import Progress, reported
from indexer.questions import question_vectors
from indexer.scan import FoundFile, Scan, scan
from indexer.summary import Summary
from indexer.wording import printable
from indexer.work import WorkFile

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder

KEPT_VERSIONS = 3


def build(
    images: Path,
    index: Path,
    encoder: "Encoder",
    wanted: Wanted | None = None,
    descriptions: Descriptions = NOTHING,
) -> Summary:
    """Scan, encode what is new, describe and caption, write a version, publish it and prune the oldest.

    At every moment the index has either its old current version or the new one, whole.

    Args:
        wanted: the kind of index, its recall and its memory; None: as the current version was asked for.
        descriptions: captions and the like that are given, and who is to caption the rest; what the current version
            knows of a picture stays.

    Raises:
        InvalidParameter: no kind of index gives what is wanted, or descriptions name none of the pictures.
        NotFound: no folder, or no readable picture in it; the current version stays.
        Busy: another build is running on this index.
        IndexVersionError: the version cannot be written.
        ModelError: the encoder does not do what it says.
    """
    started = time.monotonic()
    images = Path(os.path.abspath(images))
    found = scan(images)
    if not found.files and not (index / JOURNAL).is_dir():
        raise _no_picture(images, found.skipped)
    index.mkdir(parents=True, exist_ok=True)
    with build_lock(index), reported(index) as progress:
        remove_leftovers(index)
        merging = Merging.open(index)
        found.files = merging.to_index(found.files)
        with _open_known(index, encoder, images) as known:
            pictures, skipped, encoded = _encode(found, images, encoder, known, progress)
            merged = merging.merge(pictures, encoder, known)
            skipped, encoded = [*skipped, *merged.skipped], encoded + merged.encoded
            if not merged.pictures:
                raise _no_picture(images, skipped)
            rows, unmatched = describe(_number(merged.pictures), known.previous, descriptions.given)
            rows = with_added(rows, merged.described, descriptions.given)
            rows = caption_rows(rows, images, descriptions.captioner, known.work)
            wanted = wanted or (known.previous.wanted if known.previous else Wanted())
            version = _unchanged_version(known.previous, rows, skipped, images, wanted)
            changed = version is None or not merging.changes_nothing(merged)
            if version is None or changed:
                version = _write(rows, skipped, images, index, encoder, known, wanted, progress, merged)
                progress.stage("publishing")
                publish(index, version)
            known.forget_work()
        prune_versions(index, KEPT_VERSIONS)
        prune_changes(index)
    reused, captioned = len(rows) - encoded, sum(bool(row.captions) for row in rows)
    seconds = time.monotonic() - started
    return Summary(changed, version, len(rows), encoded, reused, skipped, seconds, captioned, unmatched)


def _open_known(index: Path, encoder: "Encoder", images: Path) -> KnownVectors:
    previous = open_previous(index, encoder.fingerprint, encoder.dimensions)
    return KnownVectors(previous, WorkFile.open(index, encoder.fingerprint, encoder.dimensions, images))


def _encode(
    found: Scan, images: Path, encoder: "Encoder", known: KnownVectors, progress: Progress
) -> tuple[list[ReadPicture], list[SkippedFile], int]:
    """All pictures that can be indexed, all that were skipped, and how many were encoded for it."""
    unchanged, to_read = _split(found.files, images, known)
    progress.stage("encoding", done=len(unchanged), total=len(found.files))
    # disable=None: a bar on a terminal only
    with tqdm(total=len(found.files), initial=len(unchanged), unit="picture", disable=None) as bar:

        def advance(pictures: int) -> None:
            bar.update(pictures)
            progress.advance(pictures)

        outcome = encode_files(to_read, images, encoder, known, advance)
    skipped = sorted([*found.skipped, *outcome.skipped], key=lambda file: encode_path(file.path))
    return [*unchanged, *outcome.pictures], skipped, outcome.encoded


def _split(files: Sequence[FoundFile], images: Path, known: KnownVectors) -> tuple[list[ReadPicture], list[FoundFile]]:
    """The files whose content is known by their looks, and those that must be read."""
    unchanged, to_read = [], []
    for file in files:
        content = known.unchanged(file, images)
        if content is None:
            to_read.append(file)
        else:
            unchanged.append(ReadPicture(file, *content))
    return unchanged, to_read


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
    skipped: Sequence[SkippedFile],
    images: Path,
    wanted: Wanted,
) -> str | None:
    """The current version if a new one would say the same; new times of unchanged files are not worth one."""
    if previous is None or previous.images_root != images or previous.skipped != skipped:
        return None
    if not previous.gives(wanted) or not previous.described:
        return None
    if list(map(_said, previous.rows)) != list(map(_said, rows)):
        return None
    return previous.version


def _said(row: PictureRow) -> tuple[object, ...]:
    """What searches tell of a picture."""
    return row.id, row.sha256, row.taken, row.tags, row.captions


def _write(
    rows: Sequence[PictureRow],
    skipped: Sequence[SkippedFile],
    images: Path,
    index: Path,
    encoder: "Encoder",
    known: KnownVectors,
    wanted: Wanted,
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
        rows,
        vectors,
        encoder=made_by,
        images_root=images,
        skipped=skipped,
        wanted=wanted,
        texts=texts,
        stage=progress.stage,
        merged=merged.position,
        overrides=list(merged.overrides.values()),
    )


def _no_picture(images: Path, skipped: Sequence[SkippedFile]) -> NotFound:
    sentence = f"There is no readable picture in {printable(str(images))}."
    if skipped:
        first = skipped[0]
        sentence += f" {len(skipped)} skipped, the first of them {printable(first.path)}: {first.reason}"
    return NotFound(sentence)
