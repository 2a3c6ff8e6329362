"""Which shards there are to be read, and which of them are done.

Parts to what an ordinary build has after encoding: pictures, skipped files, and vectors by content.

The stages as Ray Data: tasks read, a pool of actors encodes, tasks write; this process plans and merges.
"""

import logging
import os
import pickle
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagetext.wire.errors import ImageTextError, InvalidParameter, Unavailable
from indexer.distributed.parts import Part, PartFolder
from indexer.distributed.stages import STRETCH, EncodingStage, KnownContents, ShardTask, read_shard
from indexer.encode import Encoding
from indexer.previous import KnownVectors
from indexer.reading import Preparation, ReadPicture
from indexer.scan import FoundFile
from indexer.sources import FileShard, Listing, Shard

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder


def plan(listing: Listing) -> list[Shard]:
    """All that is to be read, in shards."""
    files = [] if listing.files is None else file_shards(listing.files.files, listing.files)
    return [*files, *listing.shards]


def file_shards(files: Iterable[FoundFile], of: FileShard) -> Iterator[FileShard]:
    """Stretches of files, cut where a path says so: a file more or less changes one shard, and not all after it."""
    taken: list[FoundFile] = []
    for file in files:
        taken.append(file)
        if len(taken) == STRETCH or (zlib.crc32(os.fsencode(file.path)) % STRETCH == 0 and len(taken) >= STRETCH // 4):
            yield FileShard(of.address, tuple(taken), of.reader)
            taken = []
    if taken:
        yield FileShard(of.address, tuple(taken), of.reader)


def open_tasks(shards: Sequence[Shard], folder: PartFolder) -> list[ShardTask]:
    """The shards of which not all parts are there."""
    folder.clear()
    unfinished = [shard for shard in shards if not folder.is_complete(shard.identity)]
    there = folder.found()  # after looking at them, which removes what is damaged
    return [ShardTask(shard, frozenset(there.get(shard.identity, ()))) for shard in unfinished]


_OPEN = 16


class PartVectors:
    """Vectors by content; of two equal pictures the first one's vector is taken. A few parts are open at a time."""

    def __init__(self, folder: PartFolder) -> None:
        self._folder = folder
        self._parts: list[tuple[str, int]] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._open = lru_cache(_OPEN)(self._read)

    def add(self, part: Part) -> None:
        for row, sha256 in enumerate(part.contents):
            self._places.setdefault(sha256, (len(self._parts), row))
        self._parts.append((part.shard, part.number))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._places

    def vector(self, sha256: str) -> NDArray[np.float32]:
        part, row = self._places[sha256]
        return self._open(part)[row]  # type: ignore[no-any-return]  # a row of float32

    def _read(self, part: int) -> NDArray[np.float32]:
        read = self._folder.read(*self._parts[part])
        if read is None:
            raise _missing()
        return read.vectors


def merge(shards: Iterable[str], folder: PartFolder, known: KnownVectors) -> Encoding:
    """All that was read of the shards; their vectors join the known ones.

    Raises:
        Unavailable: a part is missing.
    """
    merged, vectors = Encoding(), PartVectors(folder)
    for shard in shards:
        complete = False
        for part in folder.parts_of(shard):
            vectors.add(part)
            merged.pictures += [_with_size(picture, known) for picture in part.pictures]
            merged.skipped += part.skipped
            complete = part.last
        if not complete:
            raise _missing()
    known.join(vectors)
    return merged


def _with_size(picture: ReadPicture, known: KnownVectors) -> ReadPicture:
    """Only here is the size of a picture known that was not decoded."""
    if picture.width:
        return picture
    width, height = known.size(picture.sha256) or (0, 0)
    return replace(picture, width=width, height=height)


def _missing() -> Unavailable:
    return Unavailable("Parts of the work are missing. The same command does them again.")


_BLOCK_BYTES = 1_000_000  # at most, or one row: nearly every stretch travels by itself
_READING_BYTES = 300_000_000  # of a task: what a stretch weighs, read, decoded and on its way

log = logging.getLogger(__name__)


class OnRay:
    """The Pipeline of a cluster. What it has done is kept in parts, and a build that follows a failed one goes on."""

    def __init__(self, index: Path, load: Callable[[], "Encoder"], address: str | None = None) -> None:
        """
        Args:
            index: a folder that all machines of the cluster have at the same place.
            load: opens the model on any machine of the cluster; is pickled.
            address: of the cluster, as `ray.init` takes it; None: RAY_ADDRESS, or the one that `ray start` made on
                this machine, or a new one of this machine alone.
        """
        self._index = index
        self._load = load
        self._address = address

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        """As Pipeline says; parts that are there from an earlier build are not told to `advance`.

        Raises:
            InvalidParameter: Ray is not installed, or the cluster is too small.
            Unavailable: the cluster, or the place where the pictures lie, does not answer.
            ModelError: a machine has another model.
        """
        shards, encoded = plan(listing), 0
        folder = PartFolder(self._index, encoder.fingerprint)
        tasks = open_tasks(shards, folder)
        if tasks:
            # Ray prints what happens to its machines; the output is the summary's alone.
            with redirect_stdout(sys.stderr):
                for done in self._run(tasks, folder, encoder, KnownContents(sorted(known.contents()))):
                    encoded += done["encoded"]
                    advance(done["pictures"])
        return Encoding(encoded=encoded).plus(merge([shard.identity for shard in shards], folder, known))

    def _run(
        self, tasks: Sequence[ShardTask], folder: PartFolder, encoder: "Encoder", known: KnownContents
    ) -> Iterator[dict[str, int]]:
        ray = _import_ray()
        started = _connect(ray, self._address)
        try:
            yield from _stream(ray, tasks, folder, encoder, self._load, known)
        except Exception as error:  # Ray wraps what its tasks raise in classes of its own
            raise reason(error) from error
        finally:
            if started:
                ray.shutdown()


def _stream(
    ray: Any,
    tasks: Sequence[ShardTask],
    folder: PartFolder,
    encoder: "Encoder",
    load: Callable[[], "Encoder"],
    known: KnownContents,
) -> Iterator[dict[str, int]]:
    """What each part has come to, as it is written."""
    context = ray.data.DataContext.get_current()
    context.target_max_block_size, context.enable_progress_bars = _BLOCK_BYTES, False
    context.raise_original_map_exception = True  # for `reason`
    rows = ray.data.from_items([{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=len(tasks))
    # The memory keeps reading apart from encoding, too: steps of equal needs would become one, in the actor.
    reading = {"fn_args": [Preparation.of(encoder), ray.put(known)], "num_cpus": 1, "memory": _READING_BYTES}
    rows = rows.flat_map(_read, **reading)
    rows = rows.map(_Encode, fn_constructor_args=[load, encoder.fingerprint], **_encoders(ray))
    rows = rows.map(_write, fn_args=[folder], num_cpus=0.1)
    yield from rows.iter_rows()


def _encoders(ray: Any) -> dict[str, Any]:
    """How many actors encode, and what each needs: a GPU, or half a machine, as the engine itself takes all its cores.

    The pool may shrink to one, so that a cluster that lost machines still has cores for reading.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    cores = [int(resources["CPU"]) for resources in machines]
    if sum(cores) < 2:
        raise InvalidParameter("The Ray cluster needs two cores at least; build without --on ray.")
    gpus = sum(int(resources.get("GPU", 0)) for resources in machines)
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=gpus or len(machines))
    needs = {"num_cpus": 1, "num_gpus": 1} if gpus else {"num_cpus": max(1, min(cores) // 2)}
    return {"compute": pool, **needs}


def _read(row: dict[str, bytes], preparation: Preparation, known: Any) -> Iterator[dict[str, bytes]]:
    """`known` is a reference to KnownContents, of which a machine has one copy."""
    for stretch in read_shard(pickle.loads(row["task"]), preparation, _import_ray().get(known)):
        yield {"stretch": pickle.dumps(stretch)}


class _Encode:
    """An actor. The model is opened at the first call: Ray hides what goes wrong in a constructor."""

    def __init__(self, load: Callable[[], "Encoder"], fingerprint: str) -> None:
        self._open = partial(EncodingStage, load, fingerprint)
        self._stage: EncodingStage | None = None

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        self._stage = self._stage or self._open()
        return {"part": pickle.dumps(self._stage(pickle.loads(row["stretch"])))}


def _write(row: dict[str, bytes], folder: PartFolder) -> dict[str, int]:
    part = pickle.loads(row["part"])
    folder.write(part)
    return {"pictures": len(part.pictures) + len(part.skipped), "encoded": len(part.contents)}


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InvalidParameter("Building on Ray needs the package ray: pip install 'ray[data]'") from error
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Whether a connection was made here, which is then to be ended here."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is said here, in one sentence
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # Ray's own files keep the whole story
            handler.setLevel(logging.CRITICAL)
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable("The Ray cluster does not answer; is its address right?") from error
    return True


def reason(error: BaseException) -> ImageTextError:
    """What a task meant to say, or that the cluster failed."""
    said: BaseException | None = error
    while said is not None:
        inner = getattr(said, "cause", None) or said.__cause__
        if isinstance(said, ImageTextError) and not isinstance(inner, ImageTextError):
            return said
        said = inner
    log.warning("The cluster failed.", exc_info=error)
    return Unavailable("The Ray cluster did not finish the work. The same command goes on from here.")
