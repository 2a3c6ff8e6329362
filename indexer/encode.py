"""Pictures become vectors: the model encodes in batches while threads read ahead of it.

A Pipeline says where that happens: in this process, or on a cluster.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from imagetext.index import SkippedFile
from imagetext.machine import indexing_streams
from imagetext.wire.errors import ModelError, Unavailable
from indexer.known import KnownVectors
from indexer.reading import NOT_ENCODED, READY, Preparation, ReadPicture, Ready, Streams, read_ahead, read_item
from indexer.sources import FoundFile, Item, Listing

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

BATCH = 16  # pictures that the model encodes at once; with larger batches a core idles when the folder ends
WINDOW = 6 * BATCH  # pictures that are read ahead of the model
STREAMS = indexing_streams()
COMMIT_BATCHES = 8  # work that a kill may cost, including batches in the model

log = logging.getLogger(__name__)

Vectors = list[tuple[ReadPicture, NDArray[np.float32]]]


@dataclass
class Encoding:
    """What became of pictures; `encoded` counts those that the model encoded."""

    pictures: list[ReadPicture] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    encoded: int = 0

    def plus(self, other: "Encoding") -> "Encoding":
        return Encoding(
            [*self.pictures, *other.pictures], [*self.skipped, *other.skipped], self.encoded + other.encoded
        )


class Pipeline(Protocol):
    """Reads and encodes what a source lists."""

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        """Read everything in the listing, and leave the vectors with `known`.

        Args:
            listing: files that must be read, and shards whose pictures may be known already.
            root: the address of the source.
            advance: is called with the number of pictures done.

        Raises:
            Unavailable: the place of the pictures, or the cluster, does not answer.
            ModelError: the vectors do not have the shape that the encoder states, or a machine has another model.
        """
        ...


class InThisProcess:
    """Threads read ahead while the model encodes. Pictures that are `settled` are skipped unread."""

    def __init__(self, settled: Callable[[FoundFile], bool] = lambda _: False) -> None:
        self._settled = settled

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        unread = Encoding()
        outcome = encode_items(self._to_read(listing, root, known, unread, advance), encoder, known, advance)
        return unread.plus(outcome)

    def _to_read(
        self, listing: Listing, root: str, known: KnownVectors, unread: Encoding, advance: Callable[[int], object]
    ) -> Iterator[Item]:
        """The pictures that must be read; skipped ones, and those whose content is known by size and time, go to
        `unread`."""

        def wanted(file: FoundFile) -> bool:
            return not self._settled(file) and known.unchanged(file, root) is None

        for shard in listing.all():
            for item in shard.items(wanted):
                if isinstance(item, SkippedFile):
                    unread.skipped.append(item)
                elif item.read is not None:
                    yield item
                    continue
                elif (content := known.unchanged(item.file, root)) is not None and not self._settled(item.file):
                    unread.pictures.append(ReadPicture(item.file, *content, item.captions))
                advance(1)


def encode_items(
    items: Iterable[Item], encoder: "Encoder", known: KnownVectors, advance: Callable[[int], object]
) -> Encoding:
    """Read all items, and encode pictures that are not known yet into the work file of `known`.

    A picture that fails is skipped with its reason. `advance` is called with the number of pictures done.

    Raises:
        Unavailable: the place of the pictures does not answer.
        ModelError: the vectors do not have the shape that the encoder states.
    """
    outcome = Encoding()
    batch: list[Ready] = []
    begun = set[str]()  # by content: equal files are encoded once
    keeping = _Keeping(known, COMMIT_BATCHES - encoder.streams - READY)
    streams: Streams[list[Ready], Vectors] = Streams(
        encoder.streams, lambda full: encode_batch(full, encoder), keeping.add
    )
    preparation = Preparation.of(encoder)
    try:
        with read_ahead(lambda item: read_item(item, preparation, known), items, WINDOW) as results:
            for result in results:
                if isinstance(result, SkippedFile):
                    outcome.skipped.append(result)
                else:
                    outcome.pictures.append(result.picture)
                    known.work.add_file(result.picture.file, result.picture.sha256, result.picture.metadata)
                    if result.model_input is not None and result.picture.sha256 not in begun:
                        begun.add(result.picture.sha256)
                        batch.append(result)
                if len(batch) == BATCH:
                    streams.put(batch)
                    batch = []
                advance(1)
        if batch:
            streams.put(batch)
        streams.finish()
    except Unavailable:  # encode what has been read already
        if batch:
            streams.put(batch)
        streams.finish()
        raise
    finally:
        streams.close()
        known.work.commit()
    outcome.encoded = keeping.kept
    return _without_failures(outcome, known)


def encode_batch(batch: Sequence[Ready], encoder: "Encoder") -> Vectors:
    """The pictures of a batch with their vectors (dimensions,), without those that the model fails on.

    Raises:
        ModelError: the vectors do not have the shape that the encoder states.
    """
    inputs = [ready.model_input for ready in batch if ready.model_input is not None]
    try:
        vectors = encoder.encode_pictures(inputs)
    except Exception:  # a model may raise anything for one picture; the others go on
        if len(batch) == 1:
            log.debug("encoding %r failed", batch[0].picture.file.path, exc_info=True)
            return []
        return [found for ready in batch for found in encode_batch([ready], encoder)]
    if vectors.shape != (len(batch), encoder.dimensions):
        raise ModelError(
            f"The encoder returned vectors of shape {vectors.shape}, not {(len(batch), encoder.dimensions)}."
        )
    pairs = zip((ready.picture for ready in batch), vectors, strict=True)
    return [(picture, vector) for picture, vector in pairs if np.isfinite(vector).all()]


class _Keeping:
    """Adds vectors to the work file, and commits every few batches."""

    def __init__(self, known: KnownVectors, every: int) -> None:
        self._known = known
        self._every = max(1, every)
        self._batches = 0
        self.kept = 0

    def add(self, found: Vectors) -> None:
        """The vectors of a batch."""
        for picture, vector in found:
            self._known.work.add(picture.sha256, (picture.width, picture.height), vector)
        self.kept += len(found)
        self._batches += 1
        if self._batches % self._every == 0:
            self._known.work.commit()


def _without_failures(outcome: Encoding, known: KnownVectors) -> Encoding:
    encoded, failed = [], list(outcome.skipped)
    for picture in outcome.pictures:
        if known.size(picture.sha256) is not None:
            encoded.append(picture)
        else:
            failed.append(SkippedFile(picture.file.path, NOT_ENCODED))
    return Encoding(encoded, failed, outcome.encoded)
