"""Files to vectors: a bounded window of threads reads and decodes ahead while the model encodes in batches."""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import ImageTextError, ModelError
from imagetext.index import SkippedFile
from imagetext.pictures import FileMetadata, open_picture, read_metadata, read_picture_file
from indexer.known import KnownVectors
from indexer.scan import FoundFile
from indexer.streams import Streams

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder

BATCH = 32  # pictures that the model encodes at once
WINDOW = 3 * BATCH  # files that may be read ahead of the model: one batch in it, one ready, one on its way
STREAMS = min(2, os.cpu_count() or 1)  # batches that the model encodes at once: a core with each wastes none on waiting
COMMIT_BATCHES = 4  # work that a kill may cost, those in the model included
THREADS = min(4, os.cpu_count() or 1)  # each may hold a decoded picture of 50 megapixels


_NOT_ENCODED = "The encoder cannot encode this picture."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadPicture:
    """A file whose content is known, with the upright size in pixels."""

    file: FoundFile
    sha256: str
    bytes: int
    width: int
    height: int
    metadata: FileMetadata


@dataclass
class Encoding:
    """What became of the files that had to be read."""

    pictures: list[ReadPicture] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    encoded: int = 0


@dataclass(frozen=True)
class _Ready:
    picture: ReadPicture
    model_input: NDArray[Any] | None  # None: its vector is known


_Vectors = list[tuple[ReadPicture, NDArray[np.float32]]]


def encode_files(
    files: Sequence[FoundFile], root: Path, encoder: "Encoder", known: KnownVectors, advance: Callable[[int], object]
) -> Encoding:
    """Read all the files, and encode what is not known yet into the work file of `known`.

    A file that fails is skipped with its reason and stops nothing. `advance` is told how many files are done.
    """
    outcome = Encoding()
    batch: list[_Ready] = []
    begun = set[str]()  # by content: of two equal files one is encoded
    keeping = _Keeping(known, COMMIT_BATCHES - encoder.streams)
    streams: Streams[list[_Ready], _Vectors] = Streams(
        encoder.streams, lambda full: _vectors(full, encoder), keeping.take
    )
    try:
        with _read_ahead(lambda file: _read(file, root, encoder, known), files) as results:
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
    finally:
        streams.close()
        known.commit()
    outcome.encoded = keeping.kept
    return _without_failures(outcome, known)


@contextmanager
def _read_ahead(
    read: Callable[[FoundFile], _Ready | SkippedFile], files: Iterable[FoundFile]
) -> Iterator[Iterator[_Ready | SkippedFile]]:
    """The results in the order of the files; at most WINDOW of them wait."""
    pool = ThreadPoolExecutor(THREADS, "read")

    def results() -> Iterator[_Ready | SkippedFile]:
        waiting: deque[Future[_Ready | SkippedFile]] = deque()
        for file in files:
            waiting.append(pool.submit(read, file))
            if len(waiting) == WINDOW:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(file: FoundFile, root: Path, encoder: "Encoder", known: KnownVectors) -> _Ready | SkippedFile:
    try:
        content = read_picture_file(root / file.path)
        sha256 = hashlib.sha256(content).hexdigest()
        size = known.size(sha256)
        if size is not None:
            return _Ready(ReadPicture(file, sha256, len(content), *size, _metadata(sha256, content, known)), None)
        picture = open_picture(content, target=encoder.decoded_side)
    except ImageTextError as error:
        return SkippedFile(file.path, error.detail)
    try:
        model_input = encoder.prepare(picture)
    except Exception:
        log.debug("preparing %r failed", file.path, exc_info=True)
        return SkippedFile(file.path, _NOT_ENCODED)
    width, height = picture.info["full_size"]
    metadata = _metadata(sha256, content, known)
    return _Ready(ReadPicture(file, sha256, len(content), width, height, metadata), model_input)


def _metadata(sha256: str, content: bytes, known: KnownVectors) -> FileMetadata:
    return known.metadata(sha256) or read_metadata(content)


def _vectors(batch: Sequence[_Ready], encoder: "Encoder") -> _Vectors:
    """The pictures of a batch with their vectors (dimensions,), without those that the model fails on."""
    inputs = [ready.model_input for ready in batch if ready.model_input is not None]
    try:
        vectors = encoder.encode_pictures(inputs)
    except Exception:  # whatever a model raises over one picture must not cost the others
        if len(batch) == 1:
            log.debug("encoding %r failed", batch[0].picture.file.path, exc_info=True)
            return []
        return [found for ready in batch for found in _vectors([ready], encoder)]
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

    def take(self, found: _Vectors) -> None:
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
            failed.append(SkippedFile(picture.file.path, _NOT_ENCODED))
    return Encoding(encoded, failed, outcome.encoded)
