"""Chooses the engine for a network: the fastest of those that agree with torch, measured once and remembered."""

import hashlib
import json
import logging
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imagetext.engines.backends import NOT_QUANTISED, arithmetics, run_in_onnxruntime, run_in_openvino
from imagetext.engines.network import Network, Run
from imagetext.engines.trial import batch_of, disagreement, interleaved_seconds, seconds_by_size, seconds_of_a_call
from imagetext.files import locked_if_possible, replacing
from imagetext.machine import usable_cores
from imagetext.wire.contracts import NetworkInfo
from imagetext.wire.errors import InvalidParameter, ModelError

TORCH = "torch"
# Increase when the checks or the trial change: earlier choices are then discarded.
CHECK = 8
CLOSE = 1.3  # engines within this factor of the fastest are measured again, interleaved, alone and in a batch
TOGETHER = 8  # examples in that batch; both times count equally
CEILINGS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # environment variables that hide instructions from engines

log = logging.getLogger(__name__)

Load = Callable[[Network, Path | None], Run | None]  # the folder keeps compiled networks; None: not useful
# The substitute when an engine disagrees: the same without int8 kernels.
INSTEAD = {"openvino-f32": "openvino-f32-unquantised", "onnxruntime": "onnxruntime-unquantised"}


@dataclass(frozen=True)
class Loaded:
    """A network in its engine.

    Attributes:
        run: the network.
        engine: its name.
        seconds: by batch size; empty if not measured.
        refused: engines that were tried and rejected, each with the reason.
    """

    run: Run
    engine: str
    seconds: Mapping[int, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def info(self) -> NetworkInfo:
        """What `GET /v1/models` says of it."""
        alone = self.seconds.get(1)
        milliseconds = None if alone is None else round(alone * 1000, 3)
        return NetworkInfo(engine=self.engine, milliseconds=milliseconds, refused=dict(self.refused))


class Engines:
    """Loads exported networks into engines.

    Exports and measurements are kept in a folder, so that the next start loads just one engine per network.
    """

    def __init__(
        self,
        folder: Path | None = None,
        only: str | None = None,
        threads: int = 0,
        streams: int = 1,
        exported: Path | None = None,
    ) -> None:
        """
        Args:
            folder: where exports and choices are kept; created if missing. Without one nothing outlives the process.
            only: the one engine to use, if it agrees with torch.
            threads: for all calls together; 0 takes every core.
            streams: how many calls may run at once, each with its share of the threads.
            exported: a read-only folder with exported models, as container images have.
        """
        self.folder = folder
        self.only = only
        self.threads = threads or usable_cores()
        self.streams = streams
        self.exported = exported

    def load(self, network: Network) -> Loaded | None:
        """The network in its chosen engine; None if no engine can run it.

        Raises:
            InvalidParameter: `only` names no engine on this machine.
        """
        loads: Mapping[str, Load] = self._loads()
        if self.only is not None and self.only not in loads:
            raise InvalidParameter(
                f"There is no engine {self.only!r} on this machine; choose from {', '.join([*loads, TORCH])}."
            )
        if self.only is not None:
            return fastest({self.only: loads[self.only]}, network)
        kept = self._choice(network)
        if kept is None:
            return fastest(loads, network)
        if (loaded := _remembered(loads, network, kept)) is not None:
            return loaded
        if self.streams > 1:
            loads = self._chosen_alone(loads, network)
        with locked_if_possible(kept.parent, folder=True):  # of replicas that start together, only one measures
            if (loaded := _remembered(loads, network, kept)) is None:
                compiled = kept.with_suffix("")
                if (loaded := fastest(loads, network, compiled)) is not None:
                    _remember(kept, loaded)
                    _forget_others(compiled, loaded.engine)
            return loaded

    def _chosen_alone(self, loads: Mapping[str, Load], network: Network) -> Mapping[str, Load]:
        """The engine chosen for single calls, which is also the fastest for parallel ones."""
        engines = Engines(self.folder, threads=self.threads)
        kept = engines._choice(network)
        if kept is None:
            return loads
        try:
            name = json.loads(kept.read_text())["engine"]
        except (OSError, ValueError, KeyError, TypeError):
            loaded = engines.load(network)
            name = None if loaded is None else loaded.engine
        return {name: loads[name]} if name in loads else loads

    def has_chosen(self, network: Network) -> bool:
        """Whether `load` can take a remembered engine without measuring."""
        kept = self._choice(network)
        return self.only is not None or (kept is not None and kept.exists())

    def _loads(self) -> dict[str, Load]:
        loads: dict[str, Load] = {}
        each = max(1, self.threads // self.streams)
        if _version("openvino"):
            in_openvino = partial(run_in_openvino, threads=each, streams=self.streams)
            try:
                found = arithmetics()
            except Exception:  # its library may raise anything when it cannot be loaded
                log.warning("OpenVINO is installed but does not work on this machine", exc_info=True)
            else:
                loads |= {f"openvino-{name}": partial(in_openvino, arithmetic=each) for name, each in found.items()}
                loads["openvino-f32-unquantised"] = partial(in_openvino, arithmetic=NOT_QUANTISED)
        if _version("onnxruntime"):
            loads["onnxruntime"] = partial(run_in_onnxruntime, threads=each)
            loads["onnxruntime-unquantised"] = partial(run_in_onnxruntime, threads=each, fused=False)
        return loads

    def _choice(self, network: Network) -> Path | None:
        """The file of the choice for this network; its name covers everything that influences the choice."""
        if self.folder is None:
            return None
        packages = [f"{name}={_version(name)}" for name in ("openvino", "onnxruntime")]
        ceilings = [os.environ.get(name) for name in CEILINGS]
        identity = json.dumps([CHECK, network.folder.name, processor(), ceilings, packages, self.threads, self.streams])
        folder = self.folder / "choices"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            log.warning("%s is not writable; engines will be chosen at every start", self.folder)
            return None
        model = network.folder.name.rpartition("-")[0]
        return folder / f"{model}-{network.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


@cache
def processor() -> str:
    """The processor's model and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))


@cache
def _version(package: str) -> str | None:
    """The installed version; None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _remembered(loads: Mapping[str, Load], network: Network, kept: Path) -> Loaded | None:
    """The remembered choice; None if there is none or it can no longer be loaded."""
    try:
        choice = json.loads(kept.read_text())
        name, times = choice["engine"], {int(size): took / 1000 for size, took in choice["batches"].items()}
        refused = dict(choice["refused"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    run = _run(name, loads, network, kept.with_suffix(""))[0] if name in loads else None
    return None if run is None else Loaded(run, name, times, refused)


def _remember(kept: Path, loaded: Loaded) -> None:
    batches = {size: round(seconds * 1000, 3) for size, seconds in loaded.seconds.items()}
    choice = {"engine": loaded.engine, "batches": batches, "refused": loaded.refused}
    try:
        with replacing(kept) as unfinished:
            unfinished.write_text(json.dumps(choice))
    except OSError:
        log.warning("%s is not writable; engines will be chosen again at the next start", kept)


def _forget_others(compiled: Path, engine: str) -> None:
    """Delete what the other engines compiled."""
    for folder in compiled.iterdir() if compiled.is_dir() else ():
        if folder.name != engine:
            shutil.rmtree(folder, ignore_errors=True)


def fastest(loads: Mapping[str, Load], network: Network, compiled: Path | None = None) -> Loaded | None:
    """The fastest engine that agrees with torch; None if none does.

    Each keeps its compiled network in a folder of its name in `compiled`.
    """
    runs, seconds, refused = dict[str, Run](), dict[str, float](), dict[str, str]()
    waiting = [name for name in loads if len(loads) == 1 or name not in INSTEAD.values()]
    while waiting:
        name = waiting.pop(0)
        run, reason = _run(name, loads, network, compiled)
        if run is not None:
            reason = _why_refused(run, network)
        elif reason is None:
            continue
        if run is None or reason is not None:
            refused[name] = str(reason)
            if INSTEAD.get(name) in loads:
                waiting.insert(0, INSTEAD[name])
            continue
        runs[name], seconds[name] = run, seconds_of_a_call(run, network.inputs)
        # Slow ones are dropped at once: each holds a copy of the weights.
        runs = {each: run for each, run in runs.items() if seconds[each] < CLOSE * min(seconds.values())}
    if not runs:
        log.warning("No engine can run %s: %s", network.name, refused)
        return None
    best = min(runs, key=seconds.__getitem__)
    if len(runs) > 1:
        seconds |= interleaved_seconds(runs, network.inputs)
        together = interleaved_seconds(runs, batch_of(network, TOGETHER))
        best = min(runs, key=lambda name: seconds[name] * together[name])
    times = {name: round(found * 1000, 3) for name, found in seconds.items()}
    log.info("%s of %s runs in %s; milliseconds: %s", network.name, network.folder.name, best, times)
    for name, reason in refused.items():
        log.info("%s of %s: %s was rejected (%s); using %s", network.name, network.folder.name, name, reason, best)
    return Loaded(runs[best], best, seconds_by_size(runs[best], network, seconds[best]), refused)


def _why_refused(run: Run, network: Network) -> str | None:
    """None if the engine agrees with torch."""
    try:
        return disagreement(run, network)
    except ModelError:  # the export is damaged, not the engine
        raise
    except Exception as error:  # as in `_run`
        return f"it fails: {_last_line(error)}"


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _run(
    name: str, loads: Mapping[str, Load], network: Network, compiled: Path | None
) -> tuple[Run | None, str | None]:
    """The network in an engine, or the reason why not; neither if it would not help."""
    try:
        return loads[name](network, compiled and compiled / name), None
    except Exception as error:  # engines let exceptions of any kind out
        log.debug("%s cannot be loaded into %s", network.name, name, exc_info=True)
        return None, f"it cannot be loaded: {_last_line(error)}"
