"""Threads around a model: some read, decode and prepare pictures ahead of it, others run several batches at once."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from numpy.typing import NDArray
from PIL import Image

from imagetext.index import SkippedFile
from imagetext.machine import usable_cores
from imagetext.pictures import FileMetadata, open_picture, read_metadata
from imagetext.wire.errors import ImageTextError, Unavailable
from indexer.sources import FoundFile, Item

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

HELD_BYTES = 256_000_000  # limit for waiting items that come with their content
THREADS = min(4, usable_cores())  # each may hold a decoded picture of 50 megapixels

NOT_ENCODED = "The encoder cannot encode this picture."
READY = 1  # batches that wait for a thread of Streams

log = logging.getLogger(__name__)

Batch = TypeVar("Batch")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ReadPicture:
    """A picture whose content is known, with the upright size in pixels, the metadata of its file, and the captions of
    its source."""

    file: FoundFile
    sha256: str
    bytes: int
    width: int
    height: int
    metadata: FileMetadata
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """A picture that was read, and the model's input for it."""

    picture: ReadPicture
    model_input: NDArray[Any] | None  # None: its vector is known


class Contents(Protocol):
    """What is known about pictures by the sha256 of their files; used by several threads."""

    def size(self, sha256: str) -> tuple[int, int] | None: ...
    def metadata(self, sha256: str) -> FileMetadata | None: ...


@dataclass(frozen=True)
class Preparation:
    """The preprocessing of an encoder; can be pickled, while the encoder cannot."""

    prepare: Callable[[Image.Image], NDArray[Any]]
    decoded_side: int

    @classmethod
    def of(cls, encoder: "Encoder") -> Self:
        return cls(encoder.prepare, encoder.decoded_side)


@contextmanager
def read_ahead(
    read: Callable[[Item], Ready | SkippedFile], items: Iterable[Item], window: int, threads: int = THREADS
) -> Iterator[Iterator[Ready | SkippedFile]]:
    """The results in the order of the items; at most `window` are read ahead."""
    pool = ThreadPoolExecutor(threads, "read")

    def results() -> Iterator[Ready | SkippedFile]:
        waiting: deque[tuple[Future[Ready | SkippedFile], int]] = deque()
        held = 0
        for item in items:
            waiting.append((pool.submit(read, item), item.held))
            held += item.held
            while len(waiting) == window or held > HELD_BYTES:
                done, weight = waiting.popleft()
                held -= weight
                yield done.result()
        while waiting:
            yield waiting.popleft()[0].result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)


def read_item(item: Item, preparation: Preparation, known: Contents) -> Ready | SkippedFile:
    """Read, decode and prepare one picture; if its size is known, it is not decoded.

    Raises:
        Unavailable: the place of the pictures does not answer.
    """
    file = item.file
    assert item.read is not None
    try:
        content = item.read()
        sha256 = hashlib.sha256(content).hexdigest()
        size = known.size(sha256)
        if size is not None:
            return Ready(_picture(item, sha256, content, size, known), None)
        picture = open_picture(content, target=preparation.decoded_side)
    except Unavailable:  # says nothing about the picture
        raise
    except ImageTextError as error:
        return SkippedFile(file.path, error.detail)
    try:
        model_input = preparation.prepare(picture)
    except Exception:  # a model may raise anything for one picture; the others go on
        log.debug("preparing %r failed", file.path, exc_info=True)
        return SkippedFile(file.path, NOT_ENCODED)
    return Ready(_picture(item, sha256, content, picture.info["full_size"], known), model_input)


def _picture(item: Item, sha256: str, content: bytes, size: tuple[int, int], known: Contents) -> ReadPicture:
    metadata = known.metadata(sha256) or read_metadata(content)
    return ReadPicture(item.file, sha256, len(content), *size, metadata, item.captions)


class Streams(Generic[Batch, Result]):
    """Runs batches on `number` threads, and passes the results to `take` on the caller's thread, in order.

    At most one more than `number` is pending, so that a free thread finds the next; then `put` waits for the oldest.
    """

    def __init__(self, number: int, run: Callable[[Batch], Result], take: Callable[[Result], object]) -> None:
        self._most = number + READY
        self._run = run
        self._take = take
        self._pool = ThreadPoolExecutor(number, "encode")
        self._pending: deque[Future[Result]] = deque()

    def put(self, batch: Batch) -> None:
        """Raises whatever `run` or `take` raised for an earlier batch."""
        while len(self._pending) >= self._most:
            self._take(self._pending.popleft().result())
        self._pending.append(self._pool.submit(self._run, batch))

    def finish(self) -> None:
        """Wait for all pending batches; raises as `put` does."""
        while self._pending:
            self._take(self._pending.popleft().result())

    def close(self) -> None:
        """Drop batches that have not begun, and wait for the others."""
        self._pool.shutdown(cancel_futures=True)
