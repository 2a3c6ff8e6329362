"""Which engine runs a network: the fastest here of those that agree with torch, measured once and remembered."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from imagetext.cores import usable_cores
from imagetext.engines.equality import agrees
from imagetext.engines.kept import alone, put
from imagetext.engines.onnxruntime import run_in_onnxruntime
from imagetext.engines.openvino import arithmetics, run_in_openvino
from imagetext.engines.program import Program, Run, run_in_torch
from imagetext.engines.speed import seconds_by_size, seconds_by_turns, seconds_of_a_call
from imagetext.errors import InvalidParameter

TORCH = "torch"
CHOICE = "choice.json"
# One more whenever engines must agree in more or files are written otherwise: what was chosen before is chosen anew.
CHECK = 6
CLOSE = 1.3  # times the fastest: engines within it are measured once more, by turns

log = logging.getLogger(__name__)

Load = Callable[[Program, Path], Run | None]  # None where it would be of no use


@dataclass(frozen=True)
class Loaded:
    """A program in its engine.

    Attributes:
        run: the program.
        engine: its name.
        seconds: of a batch of so many; empty where that was not measured.
    """

    run: Run
    engine: str
    seconds: Mapping[int, float] = field(default_factory=dict)


class Engines:
    """Loads programs into engines.

    What is exported and measured is kept in a folder, by the fingerprint of the model and the versions of everything
    that has a part in it; without a folder that is done anew at every start.
    """

    def __init__(self, folder: Path | None = None, only: str | None = None, threads: int = 0, streams: int = 1) -> None:
        """
        Args:
            folder: what is kept lies here; it is made where it is missing.
            only: the one engine to use, where it agrees with torch.
            threads: of all calls together; 0 takes every core.
            streams: calls that may run at once, each with its share of the threads.
        """
        self.folder = folder
        self.only = only
        self.threads = threads or usable_cores()
        self.streams = streams

    def run(self, program: Program, fingerprint: str) -> Run:
        """As `load`, without what is known of the engine."""
        return self.load(program, fingerprint).run

    def load(self, program: Program, fingerprint: str) -> Loaded:
        """The program in the engine that is chosen for it; torch where no other can take it.

        Raises:
            InvalidParameter: there is no engine `only` here.
        """
        loads = self._loads()
        if self.only is not None and self.only not in loads:
            raise InvalidParameter(f"There is no engine {self.only!r} here; there are {', '.join(loads)}.")
        folder = self._folder(program, fingerprint)
        if folder is not None:
            with alone(folder):
                loaded = self._load(program, loads, folder)
            if loaded is not None:
                return loaded
        with TemporaryDirectory() as passing:
            return self._chosen(program, loads, Path(passing))

    def _load(self, program: Program, loads: Mapping[str, Load], folder: Path) -> Loaded | None:
        """None where nothing is kept yet, and nothing can be."""
        if self.only is None and (loaded := _remembered(loads, program, folder / self._choice)) is not None:
            return loaded
        return self._chosen(program, loads, folder) if os.access(folder, os.W_OK) else None

    def _chosen(self, program: Program, loads: Mapping[str, Load], folder: Path) -> Loaded:
        tried = loads if self.only is None else {TORCH: loads[TORCH], self.only: loads[self.only]}
        with _torch_threads(self._each):
            return fastest(tried, program, folder / self._choice, preferred=self.only)

    @property
    def _choice(self) -> str:
        return CHOICE if self.streams == 1 else f"choice-{self.streams}-streams.json"

    @property
    def _each(self) -> int:
        """Threads of a call."""
        return max(1, self.threads // self.streams)

    def _loads(self) -> Mapping[str, Load]:
        loads: dict[str, Load] = {TORCH: lambda program, _: run_in_torch(program.module)}
        if self.only == TORCH:
            return loads
        if _has("onnxscript") and _has("openvino"):
            loads |= self._openvino()
        if _has("onnxscript") and _has("onnxruntime"):
            loads["onnxruntime"] = partial(run_in_onnxruntime, threads=self._each)
        return loads

    def _openvino(self) -> Mapping[str, Load]:
        try:
            found = arithmetics()
        except Exception:  # whatever its library raises where it cannot be loaded
            log.warning("OpenVINO is installed, but does not work here", exc_info=True)
            return {}
        run = partial(run_in_openvino, threads=self._each, streams=self.streams)
        return {f"openvino-{name}": partial(run, arithmetic=arithmetic) for name, arithmetic in found.items()}

    def _folder(self, program: Program, fingerprint: str) -> Path | None:
        if self.folder is None:
            return None
        packages = [f"{name}={_has(name)}" for name in ("torch", "transformers", "openvino", "onnxruntime")]
        shapes = [[list(tensor.shape), list(free)] for tensor, free in zip(program.example, program.free, strict=True)]
        identity = json.dumps(
            [CHECK, fingerprint, program.name, shapes, dict(torch.cpu.get_capabilities()), self.threads, packages]
        )
        folder = self.folder / f"{program.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            log.warning("%s cannot be written: models are exported anew at every start", self.folder)
            return None
        return folder


def _has(package: str) -> str | None:
    """The version that is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _remembered(loads: Mapping[str, Load], program: Program, kept: Path) -> Loaded | None:
    """What was chosen before; None where nothing was, or it can no longer be loaded."""
    try:
        choice = json.loads(kept.read_text())
        name, times = choice["engine"], {int(size): took / 1000 for size, took in choice["batches"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    run = _run(name, loads, program, kept.parent) if name in loads else None
    return None if run is None else Loaded(run, name, times)


def fastest(loads: Mapping[str, Load], program: Program, kept: Path, preferred: str | None = None) -> Loaded:
    """The fastest of the engines that agree with torch, or the preferred one if it does.

    What was found is kept in a file, unless there is a preference; what is exported lies beside it.
    """
    reference = run_in_torch(program.module)
    runs, seconds = {TORCH: reference}, {TORCH: seconds_of_a_call(reference, program.inputs)}
    for name in loads:
        run = None if name == TORCH else _run(name, loads, program, kept.parent)
        if run is None:
            continue
        if not agrees(run, reference, program):
            log.warning("%s is left out for %s: it disagrees with torch", name, program.name)
            continue
        runs[name], seconds[name] = run, seconds_of_a_call(run, program.inputs)
        # Slow ones are let go of at once: each holds the weights.
        runs = {
            each: run
            for each, run in runs.items()
            if each == preferred or seconds[each] < CLOSE * min(seconds.values())
        }
    if preferred is not None:
        best = preferred if preferred in runs else TORCH
        return Loaded(runs.get(best, reference), best)
    if len(runs) > 1:
        seconds |= seconds_by_turns(runs, program.inputs)
    best = min(runs, key=seconds.__getitem__)
    times = {name: round(found * 1000, 3) for name, found in seconds.items()}
    log.info("%s runs in %s; milliseconds: %s", program.name, best, times)
    sizes = seconds_by_size(runs[best], program, seconds[best])
    batches = {size: round(found * 1000, 3) for size, found in sizes.items()}
    _remember(kept, {"engine": best, "milliseconds": times, "batches": batches})
    return Loaded(runs[best], best, sizes)


def _run(name: str, loads: Mapping[str, Load], program: Program, folder: Path) -> Run | None:
    """None where the engine cannot take the program, or would be of no use: torch can."""
    try:
        return loads[name](program, folder)
    except Exception:  # exporters raise whatever their own parts raise
        log.warning("%s cannot be loaded into %s", program.name, name, exc_info=True)
        return None


def _remember(kept: Path, choice: dict[str, Any]) -> None:
    try:
        put(kept, lambda unfinished: unfinished.write_text(json.dumps(choice)))
    except OSError:
        log.warning("%s cannot be written: engines are chosen anew at the next start", kept)


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    """So many threads for torch: what it is compared with has no more either."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
