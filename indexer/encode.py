"""Pictures to vectors: a bounded window of threads reads and decodes ahead while the model encodes in batches."""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.errors import ImageTextError, ModelError, Unavailable
from imagetext.index import SkippedFile
from imagetext.pictures import open_picture
from imagetext.transform import DECODED_SIDE
from indexer.known import KnownVectors
from indexer.scan import FoundFile
from indexer.sources import Item

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder

BATCH = 32  # pictures that the model encodes at once
WINDOW = 3 * BATCH  # pictures that may be read ahead of the model: one batch in it, one ready, one on its way
HELD_BYTES = 256_000_000  # that those of them may weigh together which come with their content
COMMIT_BATCHES = 4  # work that a kill may cost
THREADS = min(4, os.cpu_count() or 1)  # each may hold a decoded picture of 50 megapixels

NOT_ENCODED = "The encoder cannot encode this picture."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadPicture:
    """A picture whose content is known, with the upright size in pixels."""

    file: FoundFile
    sha256: str
    bytes: int
    width: int
    height: int
    captions: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Ready:
    """A picture that was read, and what the model takes of it."""

    picture: ReadPicture
    model_input: NDArray[Any] | None  # None: its vector is known


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
    batch: dict[str, Ready] = {}  # by content: of two equal files one is encoded
    batches = 0
    try:
        with read_ahead(lambda item: read_item(item, encoder.prepare, known.size), items) as results:
            for result in results:
                if isinstance(result, SkippedFile):
                    outcome.skipped.append(result)
                else:
                    outcome.pictures.append(result.picture)
                    known.saw(result.picture.file, result.picture.sha256)
                    # an equal file may have been encoded since this one was read ahead
                    if result.model_input is not None and known.size(result.picture.sha256) is None:
                        batch.setdefault(result.picture.sha256, result)
                if len(batch) == BATCH:
                    outcome.encoded += _encode(list(batch.values()), encoder, known)
                    batch.clear()
                    batches += 1
                    if batches % COMMIT_BATCHES == 0:
                        known.commit()
                advance(1)
        if batch:
            outcome.encoded += _encode(list(batch.values()), encoder, known)
    finally:
        known.commit()
    return _without_failures(outcome, known)


@contextmanager
def read_ahead(
    read: Callable[[Item], Ready | SkippedFile], items: Iterable[Item], threads: int = THREADS
) -> Iterator[Iterator[Ready | SkippedFile]]:
    """The results in the order of the items; at most WINDOW of them wait."""
    pool = ThreadPoolExecutor(threads, "read")

    def results() -> Iterator[Ready | SkippedFile]:
        waiting: deque[tuple[Future[Ready | SkippedFile], int]] = deque()
        held = 0
        for item in items:
            waiting.append((pool.submit(read, item), item.held))
            held += item.held
            while len(waiting) == WINDOW or held > HELD_BYTES:
                done, weight = waiting.popleft()
                held -= weight
                yield done.result()
        while waiting:
            yield waiting.popleft()[0].result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)


def read_item(
    item: Item, prepare: Callable[[Image.Image], NDArray[Any]], known_size: Callable[[str], tuple[int, int] | None]
) -> Ready | SkippedFile:
    """Read, decode and prepare one picture; one whose content has a `known_size` is not decoded."""
    file = item.file
    assert item.read is not None
    try:
        content = item.read()
        sha256 = hashlib.sha256(content).hexdigest()
        size = known_size(sha256)
        if size is not None:
            return Ready(ReadPicture(file, sha256, len(content), *size, item.captions), None)
        picture = open_picture(content, target=DECODED_SIDE)
    except Unavailable:  # says nothing of the picture
        raise
    except ImageTextError as error:
        return SkippedFile(file.path, error.detail)
    try:
        model_input = prepare(picture)
    except Exception:
        log.debug("preparing %r failed", file.path, exc_info=True)
        return SkippedFile(file.path, NOT_ENCODED)
    width, height = picture.info["full_size"]
    return Ready(ReadPicture(file, sha256, len(content), width, height, item.captions), model_input)


def encode_batch(batch: Sequence[Ready], encoder: "Encoder") -> Iterator[tuple[ReadPicture, NDArray[np.float32]]]:
    """The pictures of a batch with their vectors (dimensions,), without those that the model fails on."""
    inputs = [ready.model_input for ready in batch if ready.model_input is not None]
    try:
        vectors = encoder.encode_pictures(inputs)
    except Exception:  # whatever a model raises over one picture must not cost the others
        if len(batch) == 1:
            log.debug("encoding %r failed", batch[0].picture.file.path, exc_info=True)
            return
        for ready in batch:
            yield from encode_batch([ready], encoder)
        return
    if vectors.shape != (len(batch), encoder.dimensions):
        raise ModelError("The encoder gives vectors of another shape than it says.")
    for ready, vector in zip(batch, vectors, strict=True):
        if np.isfinite(vector).all():
            yield ready.picture, vector


def _encode(batch: Sequence[Ready], encoder: "Encoder", known: KnownVectors) -> int:
    """Add the vectors of a batch to the known ones. Returns how many."""
    encoded = 0
    for picture, vector in encode_batch(batch, encoder):
        known.add(picture.sha256, (picture.width, picture.height), vector)
        encoded += 1
    return encoded


def _without_failures(outcome: Encoding, known: KnownVectors) -> Encoding:
    encoded, failed = [], list(outcome.skipped)
    for picture in outcome.pictures:
        if known.size(picture.sha256) is not None:
            encoded.append(picture)
        else:
            failed.append(SkippedFile(picture.file.path, NOT_ENCODED))
    return Encoding(encoded, failed, outcome.encoded)
