"""Which engine runs a network: the fastest here of those that agree with torch, measured once and remembered."""

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
from imagetext.engines.trial import batch_of, disagreement, seconds_by_size, seconds_by_turns, seconds_of_a_call
from imagetext.files import locked_if_possible, replacing
from imagetext.machine import usable_cores
from imagetext.wire.contracts import NetworkInfo
from imagetext.wire.errors import InvalidParameter, ModelError

TORCH = "torch"
# One more whenever engines must agree in more or are tried otherwise: what was chosen before is chosen anew.
CHECK = 8
CLOSE = 1.3  # times the fastest: engines within it are measured once more, interleaved, alone and in a batch
TOGETHER = 8  # examples of that batch; both times count the same
CEILINGS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # environment variables that hide instructions from engines

log = logging.getLogger(__name__)

Load = Callable[[Network, Path | None], Run | None]  # the folder keeps what is compiled; None: of no use
# What is tried in its place when an engine disagrees: the same without int8 kernels.
INSTEAD = {"openvino-f32": "openvino-f32-unquantised", "onnxruntime": "onnxruntime-unquantised"}


@dataclass(frozen=True)
class Loaded:
    """A network in its engine.

    Attributes:
        run: the network.
        engine: its name.
        seconds: of a batch of so many; empty where that was not measured.
        refused: engines that were tried and left out, each with the reason.
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

    What was exported and measured is kept in a folder, so that the next start loads one engine for each network.
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
            folder: what is kept lies here; it is made where it is missing. Without one nothing outlives the process.
            only: the one engine to use, where it agrees with torch.
            threads: of all calls together; 0 takes every core.
            streams: calls that may run at once, each with its share of the threads.
            exported: a folder with exported models that is only read, as an image carries one.
        """
        self.folder = folder
        self.only = only
        self.threads = threads or usable_cores()
        self.streams = streams
        self.exported = exported

    def load(self, network: Network) -> Loaded | None:
        """The network in the engine that is chosen for it; None where none can take it.

        Raises:
            InvalidParameter: there is no engine `only` here.
        """
        loads: Mapping[str, Load] = self._loads()
        if self.only is not None and self.only not in loads:
            raise InvalidParameter(f"There is no engine {self.only!r} here; there are {', '.join([*loads, TORCH])}.")
        if self.only is not None:
            return fastest({self.only: loads[self.only]}, network)
        kept = self._choice(network)
        if kept is None:
            return fastest(loads, network)
        if (loaded := _remembered(loads, network, kept)) is not None:
            return loaded
        if self.streams > 1:
            loads = self._chosen_alone(loads, network)
        with locked_if_possible(kept.parent, folder=True):  # of replicas that start together one measures, and alone
            if (loaded := _remembered(loads, network, kept)) is None:
                compiled = kept.with_suffix("")
                if (loaded := fastest(loads, network, compiled)) is not None:
                    _remember(kept, loaded)
                    _forget_others(compiled, loaded.engine)
            return loaded

    def _chosen_alone(self, loads: Mapping[str, Load], network: Network) -> Mapping[str, Load]:
        """The engine of single calls: of several calls at once it is the fastest, too, and is not looked for again."""
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
        """Whether an engine is known for it, which `load` takes without measuring."""
        kept = self._choice(network)
        return self.only is not None or (kept is not None and kept.exists())

    def _loads(self) -> dict[str, Load]:
        loads: dict[str, Load] = {}
        each = max(1, self.threads // self.streams)
        if _version("openvino"):
            in_openvino = partial(run_in_openvino, threads=each, streams=self.streams)
            try:
                found = arithmetics()
            except Exception:  # whatever its library raises where it cannot be loaded
                log.warning("OpenVINO is installed, but does not work here", exc_info=True)
            else:
                loads |= {f"openvino-{name}": partial(in_openvino, arithmetic=each) for name, each in found.items()}
                loads["openvino-f32-unquantised"] = partial(in_openvino, arithmetic=NOT_QUANTISED)
        if _version("onnxruntime"):
            loads["onnxruntime"] = partial(run_in_onnxruntime, threads=each)
            loads["onnxruntime-unquantised"] = partial(run_in_onnxruntime, threads=each, fused=False)
        return loads

    def _choice(self, network: Network) -> Path | None:
        """Where the choice for this network is kept: a name for all that has a part in it."""
        if self.folder is None:
            return None
        packages = [f"{name}={_version(name)}" for name in ("openvino", "onnxruntime")]
        ceilings = [os.environ.get(name) for name in CEILINGS]
        identity = json.dumps([CHECK, network.folder.name, processor(), ceilings, packages, self.threads, self.streams])
        folder = self.folder / "choices"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            log.warning("%s cannot be written: engines are chosen anew at every start", self.folder)
            return None
        model = network.folder.name.rpartition("-")[0]
        return folder / f"{model}-{network.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


@cache
def processor() -> str:
    """The kind of processor, with its instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))


@cache
def _version(package: str) -> str | None:
    """The version that is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _remembered(loads: Mapping[str, Load], network: Network, kept: Path) -> Loaded | None:
    """What was chosen before; None where nothing was, or it can no longer be loaded."""
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
        log.warning("%s cannot be written: engines are chosen anew at the next start", kept)


def _forget_others(compiled: Path, engine: str) -> None:
    """What other engines have compiled."""
    for folder in compiled.iterdir() if compiled.is_dir() else ():
        if folder.name != engine:
            shutil.rmtree(folder, ignore_errors=True)


def fastest(loads: Mapping[str, Load], network: Network, compiled: Path | None = None) -> Loaded | None:
    """The fastest of the engines that agree with torch; None where none does.

    Each keeps what it compiles in a folder of its name in `compiled`.
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
        # Slow ones are let go of at once: each holds the weights.
        runs = {each: run for each, run in runs.items() if seconds[each] < CLOSE * min(seconds.values())}
    if not runs:
        log.warning("No engine can run %s: %s", network.name, refused)
        return None
    best = min(runs, key=seconds.__getitem__)
    if len(runs) > 1:
        seconds |= seconds_by_turns(runs, network.inputs)
        together = seconds_by_turns(runs, batch_of(network, TOGETHER))
        best = min(runs, key=lambda name: seconds[name] * together[name])
    times = {name: round(found * 1000, 3) for name, found in seconds.items()}
    log.info("%s of %s runs in %s; milliseconds: %s", network.name, network.folder.name, best, times)
    for name, reason in refused.items():
        log.info("%s of %s: %s is left out (%s); %s is used", network.name, network.folder.name, name, reason, best)
    return Loaded(runs[best], best, seconds_by_size(runs[best], network, seconds[best]), refused)


def _why_refused(run: Run, network: Network) -> str | None:
    """None where the engine agrees with torch."""
    try:
        return disagreement(run, network)
    except ModelError:  # it is the export that is damaged
        raise
    except Exception as error:  # as `_run`
        return f"it fails: {_last_line(error)}"


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _run(
    name: str, loads: Mapping[str, Load], network: Network, compiled: Path | None
) -> tuple[Run | None, str | None]:
    """The network in an engine, or why it cannot be; neither where that would be of no use."""
    try:
        return loads[name](network, compiled and compiled / name), None
    except Exception as error:  # engines raise whatever their own parts raise
        log.debug("%s cannot be loaded into %s", network.name, name, exc_info=True)
        return None, f"it cannot be loaded: {_last_line(error)}"
