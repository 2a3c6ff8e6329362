"""Pictures, wherever they lie, to a published index version."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from imagetext.errors import NotFound
from imagetext.index import EncoderRef, PictureRow, SkippedFile, Wanted, picture_id, publish, write_version
from imagetext.index.rows import encode_path
from imagetext.index.versions import prune_versions, remove_leftovers
from indexer.encode import Encoding, ReadPicture, encode_items
from indexer.known import KnownVectors
from indexer.lock import build_lock
from indexer.previous import PreviousVersion, open_previous
from indexer.questions import question_vectors
from indexer.scan import FoundFile
from indexer.sources import FolderSource, Item, Listing, Source
from indexer.summary import Summary
from indexer.wording import printable
from indexer.work import WorkFile

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder

KEPT_VERSIONS = 3


class Pipeline(Protocol):
    """Lists to encoded pictures, in this process or elsewhere: it leaves the vectors with `known`."""

    def __call__(self, listing: Listing, root: str, encoder: "Encoder", known: KnownVectors) -> Encoding: ...


def build(
    images: Path | Source,
    index: Path,
    encoder: "Encoder",
    wanted: Wanted | None = None,
    *,
    encode: Pipeline | None = None,
) -> Summary:
    """List, encode what is new, write a version, publish it and prune the oldest.

    At every moment the index has either its old current version or the new one, whole.

    Args:
        images: where the pictures come from; a path is that of a folder.
        wanted: the kind of index, its recall and its memory; None: as the current version was asked for.
        encode: where the pictures are read and encoded; None: in this process.

    Raises:
        InvalidParameter: no kind of index gives what is wanted.
        NotFound: no folder, or no readable picture in it; the current version stays.
        Unavailable: the object store, or the cluster, does not answer.
        Busy: another build is running on this index.
        IndexVersionError: the version cannot be written.
        ModelError: the encoder does not do what it says.
    """
    started = time.monotonic()
    source = FolderSource(images) if isinstance(images, Path) else images
    root = source.address
    listing = source.list()
    if listing.is_empty():
        raise _no_picture(root, listing.skipped)
    index.mkdir(parents=True, exist_ok=True)
    with build_lock(index):
        remove_leftovers(index)
        with _open_known(index, encoder, root) as known:
            outcome = (encode or encode_here)(listing, root, encoder, known)
            outcome.skipped.sort(key=lambda file: encode_path(file.path))
            if not outcome.pictures:
                raise _no_picture(root, outcome.skipped)
            rows = _number(outcome.pictures)
            wanted = wanted or (known.previous.wanted if known.previous else Wanted())
            version = _unchanged_version(known.previous, rows, outcome.skipped, root, wanted)
            changed = version is None
            if version is None:
                version = _write(rows, outcome.skipped, root, index, encoder, known, wanted)
                publish(index, version)
            known.forget_work()
        prune_versions(index, KEPT_VERSIONS)
    reused = len(rows) - outcome.encoded
    return Summary(changed, version, len(rows), outcome.encoded, reused, outcome.skipped, time.monotonic() - started)


def _open_known(index: Path, encoder: "Encoder", root: str) -> KnownVectors:
    previous = open_previous(index, encoder.fingerprint, encoder.dimensions)
    return KnownVectors(previous, WorkFile.open(index, encoder.fingerprint, encoder.dimensions, root))


def encode_here(listing: Listing, root: str, encoder: "Encoder", known: KnownVectors) -> Encoding:
    """The Pipeline of this process: its threads read ahead while the model encodes."""
    apart = Encoding(skipped=list(listing.skipped))
    # disable=None: a bar on a terminal only
    with tqdm(total=listing.size(), unit="picture", disable=None) as bar:
        outcome = encode_items(_to_read(listing, root, known, apart, bar), encoder, known, bar.update)
    return apart.plus(outcome)


def _to_read(listing: Listing, root: str, known: KnownVectors, apart: Encoding, bar: tqdm) -> Iterator[Item]:
    """The pictures that must be read; those whose content is known by their looks, and what is skipped, go `apart`."""

    def wanted(file: FoundFile) -> bool:
        return known.unchanged(file, root) is None

    for shard in listing.all():
        for item in shard.items(wanted):
            if isinstance(item, SkippedFile):
                apart.skipped.append(item)
            elif (content := known.unchanged(item.file, root)) is not None:
                apart.pictures.append(ReadPicture(item.file, *content, item.captions))
            else:
                yield item
                continue
            bar.update()


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
        )
        for row, picture in enumerate(sorted(pictures, key=lambda picture: encode_path(picture.file.path)))
    ]


def _unchanged_version(
    previous: PreviousVersion | None,
    rows: Sequence[PictureRow],
    skipped: Sequence[SkippedFile],
    root: str,
    wanted: Wanted,
) -> str | None:
    """The current version if a new one would say the same; new times of unchanged files are not worth one."""
    if previous is None or previous.images_address != root or previous.skipped != skipped:
        return None
    if not previous.gives(wanted):
        return None
    if [(row.id, row.sha256) for row in previous.rows] != [(row.id, row.sha256) for row in rows]:
        return None
    return previous.version


def _write(
    rows: Sequence[PictureRow],
    skipped: Sequence[SkippedFile],
    root: str,
    index: Path,
    encoder: "Encoder",
    known: KnownVectors,
    wanted: Wanted,
) -> str:
    vectors = np.empty((len(rows), encoder.dimensions), dtype=np.float32)
    for row in rows:
        vectors[row.row] = known.vector(row.sha256)
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    texts = question_vectors(encoder, wanted, len(rows))
    return write_version(
        index, rows, vectors, encoder=made_by, images_root=root, skipped=skipped, wanted=wanted, texts=texts
    )


def _no_picture(root: str, skipped: Sequence[SkippedFile]) -> NotFound:
    sentence = f"There is no readable picture in {printable(root)}."
    if skipped:
        first = skipped[0]
        sentence += f" {len(skipped)} skipped, the first of them {printable(first.path)}: {first.reason}"
    return NotFound(sentence)
