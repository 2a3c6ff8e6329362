"""Pictures to vectors: the model encodes in batches while others are read ahead of it.

How pictures come to be encoded: in this process, or wherever else there is a Pipeline.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagetext.index import SkippedFile
from imagetext.machine import indexing_streams
from imagetext.wire.errors import ModelError, Unavailable
from indexer.previous import KnownVectors
from indexer.reading import NOT_ENCODED, READY, Preparation, ReadPicture, Ready, Streams, read_ahead, read_item
from indexer.sources import Item

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from indexer.scan import FoundFile
from indexer.sources import Listing

BATCH = 16  # pictures that the model encodes at once; of larger ones a core has none left when the folder ends
WINDOW = 6 * BATCH  # pictures that may be read ahead of the model
STREAMS = indexing_streams()
COMMIT_BATCHES = 8  # work that a kill may cost, those in the model included

log = logging.getLogger(__name__)

Vectors = list[tuple[ReadPicture, NDArray[np.float32]]]


@dataclass
class Encoding:
    """What became of pictures; `encoded` counts what the model did for it."""

    pictures: list[ReadPicture] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    encoded: int = 0

    def plus(self, other: "Encoding") -> "Encoding":
        return Encoding(
            [*self.pictures, *other.pictures], [*self.skipped, *other.skipped], self.encoded + other.encoded
        )


def encode_items(
    items: Iterable[Item], encoder: "Encoder", known: KnownVectors, advance: Callable[[int], object]
) -> Encoding:
    """Read all the items, and encode what is not known yet into the work file of `known`.

    A picture that fails is skipped with its reason and stops nothing. `advance` is told how many are done.

    Raises:
        Unavailable: the place where the pictures lie does not answer.
        ModelError: the encoder does not do what it says.
    """
    outcome = Encoding()
    batch: list[Ready] = []
    begun = set[str]()  # by content: of two equal files one is encoded
    keeping = _Keeping(known, COMMIT_BATCHES - encoder.streams - READY)
    streams: Streams[list[Ready], Vectors] = Streams(
        encoder.streams, lambda full: encode_batch(full, encoder), keeping.take
    )
    preparation = Preparation.of(encoder)
    try:
        with read_ahead(lambda item: read_item(item, preparation, known), items, WINDOW) as results:
            for result in results:
                if isinstance(result, SkippedFile):
                    outcome.skipped.append(result)
                else:
                    outcome.pictures.append(result.picture)
                    known.saw(result.picture.file, result.picture.sha256, result.picture.metadata)
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
    except Unavailable:  # what has been read is not lost with the place that it was read from
        if batch:
            streams.put(batch)
        streams.finish()
        raise
    finally:
        streams.close()
        known.commit()
    outcome.encoded = keeping.kept
    return _without_failures(outcome, known)


def encode_batch(batch: Sequence[Ready], encoder: "Encoder") -> Vectors:
    """The pictures of a batch with their vectors (dimensions,), without those that the model fails on.

    Raises:
        ModelError: the encoder does not do what it says.
    """
    inputs = [ready.model_input for ready in batch if ready.model_input is not None]
    try:
        vectors = encoder.encode_pictures(inputs)
    except Exception:  # whatever a model raises over one picture must not cost the others
        if len(batch) == 1:
            log.debug("encoding %r failed", batch[0].picture.file.path, exc_info=True)
            return []
        return [found for ready in batch for found in encode_batch([ready], encoder)]
    if vectors.shape != (len(batch), encoder.dimensions):
        raise ModelError("The encoder gives vectors of another shape than it says.")
    pairs = zip((ready.picture for ready in batch), vectors, strict=True)
    return [(picture, vector) for picture, vector in pairs if np.isfinite(vector).all()]


class _Keeping:
    """Adds vectors to the known ones, and commits them before too many would be lost."""

    def __init__(self, known: KnownVectors, every: int) -> None:
        self._known = known
        self._every = max(1, every)
        self._batches = 0
        self.kept = 0

    def take(self, found: Vectors) -> None:
        """The vectors of a batch."""
        for picture, vector in found:
            self._known.add(picture.sha256, (picture.width, picture.height), vector)
        self.kept += len(found)
        self._batches += 1
        if self._batches % self._every == 0:
            self._known.commit()


def _without_failures(outcome: Encoding, known: KnownVectors) -> Encoding:
    encoded, failed = [], list(outcome.skipped)
    for picture in outcome.pictures:
        if known.size(picture.sha256) is not None:
            encoded.append(picture)
        else:
            failed.append(SkippedFile(picture.file.path, NOT_ENCODED))
    return Encoding(encoded, failed, outcome.encoded)


class Pipeline(Protocol):
    """Lists to encoded pictures."""

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        """Reads everything in the listing, and leaves the vectors with `known`.

        Args:
            listing: the files that must be read, and shards of which something may be known.
            root: the address of the source.
            advance: is told how many pictures are done.

        Raises:
            Unavailable: the place where the pictures lie, or what encodes, does not answer.
            ModelError: the encoder does not do what it says.
        """
        ...


class InThisProcess:
    """Its threads read ahead while the model encodes. Pictures that are `settled` are left out of shards unread."""

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
        apart = Encoding()
        outcome = encode_items(self._to_read(listing, root, known, apart, advance), encoder, known, advance)
        return apart.plus(outcome)

    def _to_read(
        self, listing: Listing, root: str, known: KnownVectors, apart: Encoding, advance: Callable[[int], object]
    ) -> Iterator[Item]:
        """The pictures that must be read; those whose content is known by their looks, and what is skipped, go
        `apart`."""

        def wanted(file: FoundFile) -> bool:
            return not self._settled(file) and known.unchanged(file, root) is None

        for shard in listing.all():
            for item in shard.items(wanted):
                if isinstance(item, SkippedFile):
                    apart.skipped.append(item)
                elif item.read is not None:
                    yield item
                    continue
                elif (content := known.unchanged(item.file, root)) is not None and not self._settled(item.file):
                    apart.pictures.append(ReadPicture(item.file, *content, item.captions))
                advance(1)
