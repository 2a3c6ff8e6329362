"""The Pipeline on a Ray cluster: tasks read, actors encode, tasks write parts; this process plans and merges."""

import logging
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetext.wire.errors import ImageTextError, InvalidParameter, Unavailable
from indexer.distributed.parts import PartFolder, merge
from indexer.distributed.stages import EncodingStage, KnownContents, ShardTask, open_tasks, plan, read_shard
from indexer.encode import Encoding
from indexer.known import KnownVectors
from indexer.reading import Preparation
from indexer.sources import Listing

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

_BLOCK_BYTES = 1_000_000  # nearly every stretch is a block of its own
_READING_BYTES = 300_000_000  # of a task: a stretch of pictures, read, decoded and sent

log = logging.getLogger(__name__)


class OnRay:
    """The Pipeline of a cluster. Its work is kept in parts, so that a build continues where an earlier one failed."""

    def __init__(self, index: Path, load: Callable[[], "Encoder"], address: str | None = None) -> None:
        """
        Args:
            index: a folder that all machines of the cluster see under the same path.
            load: opens the model on any machine of the cluster; must be picklable.
            address: of the cluster, as for `ray.init`; None: RAY_ADDRESS, or the cluster that `ray start` made on this
                machine, or a new one on this machine only.
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
        """As in Pipeline; `advance` is not called for parts of an earlier build.

        Raises:
            InvalidParameter: Ray is not installed, or the cluster is too small.
            Unavailable: the cluster, or the place of the pictures, does not answer.
            ModelError: a machine has another model.
        """
        shards, encoded = plan(listing), 0
        folder = PartFolder(self._index, encoder.fingerprint)
        tasks = open_tasks(shards, folder)
        if tasks:
            # Ray prints messages; standard output is only for the summary.
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
        except Exception as error:  # Ray wraps errors of its tasks in classes of its own
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
    """The counts of each part, as it is written."""
    context = ray.data.DataContext.get_current()
    context.target_max_block_size, context.enable_progress_bars = _BLOCK_BYTES, False
    context.raise_original_map_exception = True  # for `reason`
    rows = ray.data.from_items([{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=len(tasks))
    # Different memory also keeps Ray from fusing reading and encoding into one step in the actor.
    reading = {"fn_args": [Preparation.of(encoder), ray.put(known)], "num_cpus": 1, "memory": _READING_BYTES}
    rows = rows.flat_map(_read, **reading)
    rows = rows.map(_Encode, fn_constructor_args=[load, encoder.fingerprint], **_encoders(ray))
    rows = rows.map(_write, fn_args=[folder], num_cpus=0.1)
    yield from rows.iter_rows()


def _encoders(ray: Any) -> dict[str, Any]:
    """How many actors encode, and what each needs: a GPU, or half a machine, as the engine itself uses all its cores.

    The pool may shrink to one, so that a cluster that lost machines still has cores for reading.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    cores = [int(resources["CPU"]) for resources in machines]
    if sum(cores) < 2:
        raise InvalidParameter(
            f"The Ray cluster needs at least two cores, but has {sum(cores)}; build without --on ray."
        )
    gpus = sum(int(resources.get("GPU", 0)) for resources in machines)
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=gpus or len(machines))
    needs = {"num_cpus": 1, "num_gpus": 1} if gpus else {"num_cpus": max(1, min(cores) // 2)}
    return {"compute": pool, **needs}


def _read(row: dict[str, bytes], preparation: Preparation, known: Any) -> Iterator[dict[str, bytes]]:
    """`known` is a reference to KnownContents, so that each machine has one copy."""
    for stretch in read_shard(pickle.loads(row["task"]), preparation, _import_ray().get(known)):
        yield {"stretch": pickle.dumps(stretch)}


class _Encode:
    """An actor. The model is opened at the first call, because Ray hides errors of a constructor."""

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
        raise InvalidParameter("--on ray needs the package ray: pip install 'ray[data]'") from error
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Whether a connection was made, which the caller must then end."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are reported here, in one sentence
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # Ray's own log files have the details
            handler.setLevel(logging.CRITICAL)
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable("The Ray cluster does not answer; is its address right?") from error
    return True


def reason(error: BaseException) -> ImageTextError:
    """The error that a task raised, or else that the cluster failed."""
    cause: BaseException | None = error
    while cause is not None:
        inner = getattr(cause, "cause", None) or cause.__cause__
        if isinstance(cause, ImageTextError) and not isinstance(inner, ImageTextError):
            return cause
        cause = inner
    log.warning("The cluster failed.", exc_info=error)
    return Unavailable("The Ray cluster did not finish the work. Run the same command again to continue.")
