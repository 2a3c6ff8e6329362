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
from imagetext.transform import DECODED_SIDE
from indexer.known import KnownVectors
from indexer.scan import FoundFile

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder

BATCH = 32  # pictures that the model encodes at once
WINDOW = 3 * BATCH  # files that may be read ahead of the model: one batch in it, one ready, one on its way
COMMIT_BATCHES = 4  # work that a kill may cost
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


def encode_files(
    files: Sequence[FoundFile], root: Path, encoder: "Encoder", known: KnownVectors, advance: Callable[[int], object]
) -> Encoding:
    """Read all the files, and encode what is not known yet into the work file of `known`.

    A file that fails is skipped with its reason and stops nothing. `advance` is told how many files are done.
    """
    outcome = Encoding()
    batch: dict[str, _Ready] = {}  # by content: of two equal files one is encoded
    batches = 0
    try:
        with _read_ahead(lambda file: _read(file, root, encoder, known), files) as results:
            for result in results:
                if isinstance(result, SkippedFile):
                    outcome.skipped.append(result)
                else:
                    outcome.pictures.append(result.picture)
                    known.saw(result.picture.file, result.picture.sha256, result.picture.metadata)
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
        picture = open_picture(content, target=DECODED_SIDE)
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


def _encode(batch: Sequence[_Ready], encoder: "Encoder", known: KnownVectors) -> int:
    """Add the vectors of a batch to the known ones; a picture that the model fails on is left out. Returns how many."""
    inputs = [ready.model_input for ready in batch if ready.model_input is not None]
    try:
        vectors = encoder.encode_pictures(inputs)
    except Exception:  # whatever a model raises over one picture must not cost the others
        if len(batch) == 1:
            log.debug("encoding %r failed", batch[0].picture.file.path, exc_info=True)
            return 0
        return sum(_encode([ready], encoder, known) for ready in batch)
    if vectors.shape != (len(batch), encoder.dimensions):
        raise ModelError("The encoder gives vectors of another shape than it says.")
    encoded = 0
    for ready, vector in zip(batch, vectors, strict=True):
        if np.isfinite(vector).all():
            picture = ready.picture
            known.add(picture.sha256, (picture.width, picture.height), vector)
            encoded += 1
    return encoded


def _without_failures(outcome: Encoding, known: KnownVectors) -> Encoding:
    encoded, failed = [], list(outcome.skipped)
    for picture in outcome.pictures:
        if known.size(picture.sha256) is not None:
            encoded.append(picture)
        else:
            failed.append(SkippedFile(picture.file.path, _NOT_ENCODED))
    return Encoding(encoded, failed, outcome.encoded)
