"""The plan of a cluster and the work of its tasks and actors. Nothing here knows Ray: stages are picklable calls."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagetext.index import SkippedFile
from imagetext.pictures import FileMetadata
from imagetext.wire.errors import ModelError
from indexer.distributed.parts import Part, PartFolder
from indexer.encode import BATCH, WINDOW, Vectors, encode_batch
from indexer.reading import NOT_ENCODED, Preparation, ReadPicture, Ready, Streams, read_ahead, read_item
from indexer.sources import FileShard, FoundFile, Item, Listing, Shard

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

STRETCH = 256  # pictures in a part, which is what a lost task costs
STRETCH_BYTES = 64_000_000  # or fewer, if they have this many bytes together
_THREADS = 2  # in a task with one core: one waits for bytes while the other decodes


@dataclass(frozen=True)
class ShardTask:
    """A shard to read, and the numbers of its finished parts."""

    shard: Shard
    done: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Stretch:
    """At most STRETCH read and prepared pictures of a shard."""

    shard: str
    number: int
    last: bool
    ready: list[Ready]
    skipped: list[SkippedFile]


def plan(listing: Listing) -> list[Shard]:
    """Everything to read, in shards."""
    files = [] if listing.files is None else file_shards(listing.files.files, listing.files)
    return [*files, *listing.shards]


def file_shards(files: Iterable[FoundFile], files_of: FileShard) -> Iterator[FileShard]:
    """Stretches of files, cut at certain hashes of paths, so that one more or less file changes only one shard."""
    stretch: list[FoundFile] = []
    for file in files:
        stretch.append(file)
        if len(stretch) == STRETCH or (
            zlib.crc32(os.fsencode(file.path)) % STRETCH == 0 and len(stretch) >= STRETCH // 4
        ):
            yield FileShard(files_of.address, tuple(stretch), files_of.reader)
            stretch = []
    if stretch:
        yield FileShard(files_of.address, tuple(stretch), files_of.reader)


def open_tasks(shards: Sequence[Shard], folder: PartFolder) -> list[ShardTask]:
    """The shards with missing parts."""
    folder.clear()
    unfinished = [shard for shard in shards if not folder.is_complete(shard.identity)]
    found = folder.found()  # after `is_complete`, which removes damaged parts
    return [ShardTask(shard, frozenset(found.get(shard.identity, ()))) for shard in unfinished]


class KnownContents:
    """The sha256 of pictures whose vectors are known: 32 bytes each, shared by the tasks of a machine."""

    def __init__(self, contents: Sequence[str]) -> None:
        self._sorted = np.sort(np.array([bytes.fromhex(sha256) for sha256 in contents], dtype="S32"))

    def size(self, sha256: str) -> tuple[int, int] | None:
        """(0, 0), since only the planning process knows sizes; None for an unknown content."""
        key = np.array(bytes.fromhex(sha256), dtype="S32")
        at = int(np.searchsorted(self._sorted, key))
        return (0, 0) if at < len(self._sorted) and self._sorted[at] == key else None

    def metadata(self, sha256: str) -> FileMetadata | None:
        """None: metadata are read again, which costs less than sending them."""
        return None


def read_shard(
    task: ShardTask, preparation: Preparation, known: KnownContents, stretch_bytes: int = STRETCH_BYTES
) -> Iterator[Stretch]:
    """Read, decode and prepare a shard; always in the same stretches, without finished ones."""
    identity = task.shard.identity
    for number, (items, last) in enumerate(_stretches(task.shard.items(lambda _: True), stretch_bytes)):
        if number in task.done:
            continue
        pictures = [item for item in items if isinstance(item, Item)]
        with read_ahead(lambda item: read_item(item, preparation, known), pictures, WINDOW, _THREADS) as results:
            read = list(results)
        ready = [result for result in read if isinstance(result, Ready)]
        skipped = [result for result in (*items, *read) if isinstance(result, SkippedFile)]
        yield Stretch(identity, number, last, ready, skipped)


def _stretches(items: Iterator[Item | SkippedFile], bytes: int) -> Iterator[tuple[list[Item | SkippedFile], bool]]:
    """Each stretch with whether it is the last; an empty shard has one empty stretch."""
    stretch: list[Item | SkippedFile] = []
    held = 0
    for item in items:
        if len(stretch) == STRETCH or held > bytes:
            yield stretch, False
            stretch, held = [], 0
        stretch.append(item)
        held += item.held if isinstance(item, Item) else 0
    yield stretch, True


class EncodingStage:
    """Holds the model of an actor."""

    def __init__(self, load: Callable[[], "Encoder"], fingerprint: str) -> None:
        """Raises ModelError if the model on this machine is not that of the build."""
        self._encoder = load()
        if self._encoder.fingerprint != fingerprint:
            raise ModelError(
                "A machine of the cluster has another model under the same name; copy the model to all machines."
            )

    def __call__(self, stretch: Stretch) -> Part:
        fresh = {ready.picture.sha256: ready for ready in stretch.ready if ready.model_input is not None}
        vectors = self._encode(list(fresh.values()))
        pictures: list[ReadPicture] = []
        skipped = list(stretch.skipped)
        for ready in stretch.ready:
            if ready.picture.sha256 in fresh and ready.picture.sha256 not in vectors:
                skipped.append(SkippedFile(ready.picture.file.path, NOT_ENCODED))
            else:
                pictures.append(ready.picture)
        rows = np.empty((len(vectors), self._encoder.dimensions), dtype=np.float32)
        rows[:] = list(vectors.values()) or rows
        return Part(stretch.shard, stretch.number, stretch.last, pictures, skipped, list(vectors), rows)

    def _encode(self, waiting: Sequence[Ready]) -> dict[str, NDArray[np.float32]]:
        """Vectors (dimensions,) by content, without those that the model fails on."""
        vectors: dict[str, NDArray[np.float32]] = {}

        def take(found: Vectors) -> None:
            vectors.update((picture.sha256, vector) for picture, vector in found)

        streams: Streams[Sequence[Ready], Vectors] = Streams(
            self._encoder.streams, lambda batch: encode_batch(batch, self._encoder), take
        )
        try:
            for start in range(0, len(waiting), BATCH):
                streams.put(waiting[start : start + BATCH])
            streams.finish()
        finally:
            streams.close()
        return vectors
