"""Which engine runs a network: the fastest here of those that agree with torch, measured once and remembered."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from imagetext.engines.onnxruntime import run_in_onnxruntime
from imagetext.engines.openvino import precisions, run_in_openvino
from imagetext.engines.program import Array, Program, Run, arrays, run_in_torch
from imagetext.errors import InvalidParameter

AGREEMENT = 0.999  # cosine of every row with torch's
SECONDS = 0.5  # of measuring, for each engine
TORCH = "torch"

log = logging.getLogger(__name__)

Load = Callable[[Program, Path], Run]


class Engines:
    """Loads programs into engines.

    What is exported and measured is kept in a folder, by the fingerprint of the model and the versions of everything
    that has a part in it; without a folder that is done anew at every start.
    """

    def __init__(self, folder: Path | None = None, only: str | None = None, threads: int = 0) -> None:
        """
        Args:
            folder: what is kept lies here; it is made where it is missing.
            only: the one engine to use, where it agrees with torch.
            threads: of one call; 0 takes every core.
        """
        self.folder = folder
        self.only = only
        self.threads = threads or os.cpu_count() or 1

    def run(self, program: Program, fingerprint: str) -> Run:
        """The program in the engine that is chosen for it; torch where no other can take it.

        Raises:
            InvalidParameter: there is no engine `only` here.
        """
        loads = self._loads()
        if self.only is not None and self.only not in loads:
            raise InvalidParameter(f"There is no engine {self.only!r} here; there are {', '.join(loads)}.")
        folder = self._folder(program, fingerprint)
        if folder is None:
            with TemporaryDirectory() as passing:
                return self._run(program, loads, Path(passing))
        return self._run(program, loads, folder)

    def _run(self, program: Program, loads: Mapping[str, Load], folder: Path) -> Run:
        if self.only is not None:
            return fastest({TORCH: loads[TORCH], self.only: loads[self.only]}, program, folder, preferred=self.only)
        remembered = _remembered(folder, loads)
        run = _loaded(remembered, loads, program, folder) if remembered else None
        return run or fastest(loads, program, folder)

    def _loads(self) -> Mapping[str, Load]:
        loads: dict[str, Load] = {TORCH: lambda program, _: run_in_torch(program.module)}
        if _has("onnxscript") and _has("openvino"):
            for precision in precisions():
                loads[f"openvino-{precision}"] = partial(run_in_openvino, precision=precision, threads=self.threads)
        if _has("onnxscript") and _has("onnxruntime"):
            loads["onnxruntime"] = partial(run_in_onnxruntime, threads=self.threads)
        return loads

    def _folder(self, program: Program, fingerprint: str) -> Path | None:
        if self.folder is None:
            return None
        packages = [f"{name}={_has(name)}" for name in ("torch", "transformers", "openvino", "onnxruntime")]
        shapes = [[list(tensor.shape), list(free)] for tensor, free in zip(program.example, program.free, strict=True)]
        identity = json.dumps(
            [fingerprint, program.name, shapes, dict(torch.cpu.get_capabilities()), self.threads, packages]
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


def _remembered(folder: Path, loads: Mapping[str, Load]) -> str | None:
    try:
        name = json.loads((folder / "choice.json").read_text())["engine"]
    except (OSError, ValueError, KeyError):
        return None
    return name if name in loads else None


def fastest(loads: Mapping[str, Load], program: Program, folder: Path, preferred: str | None = None) -> Run:
    """The fastest of the engines that agree with torch, or the preferred one if it does.

    What was found is kept in `folder`, unless there is a preference.
    """
    reference = run_in_torch(program.module)
    runs, seconds = {TORCH: reference}, {TORCH: _seconds(reference, program)}
    for name in loads:
        run = None if name == TORCH else _loaded(name, loads, program, folder)
        if run is not None and agrees(run, reference, program):
            runs[name], seconds[name] = run, _seconds(run, program)
    best = preferred if preferred in runs else min(seconds, key=seconds.__getitem__)
    times = {name: round(found * 1000, 3) for name, found in seconds.items()}
    log.info("%s runs in %s; milliseconds: %s", program.name, best, times)
    if preferred is None:
        _remember(folder, {"engine": best, "milliseconds": times})
    return runs[best]


def agrees(run: Run, reference: Run, program: Program) -> bool:
    """Whether an engine gives what torch gives, on the example and on inputs of other lengths."""
    for tensors in (program.example, *program.others):
        inputs = arrays(tensors)
        if not _alike(run(*inputs), [np.array(output) for output in reference(*inputs)]):
            log.warning("an engine is left out for %s: it disagrees with torch", program.name)
            return False
    return True


def _loaded(name: str, loads: Mapping[str, Load], program: Program, folder: Path) -> Run | None:
    """None where the engine cannot take the program: torch can."""
    try:
        return loads[name](program, folder)
    except Exception:  # exporters raise whatever their own parts raise
        log.warning("%s cannot be loaded into %s", program.name, name, exc_info=True)
        return None


def _alike(found: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Whether every row of numbers points where torch's does; whole numbers may differ where two are all but equal."""
    if [one.shape for one in found] != [one.shape for one in expected]:
        return False
    pairs = [pair for pair in zip(found, expected, strict=True) if np.issubdtype(pair[1].dtype, np.floating)]
    return all(_cosine(mine, theirs) >= AGREEMENT for mine, theirs in pairs if theirs.size)


def _cosine(mine: Array, theirs: Array) -> float:
    """The lowest of all rows."""
    mine, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (mine, theirs))
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.min((mine * theirs).sum(1) / np.maximum(lengths, 1e-12)))


def _seconds(run: Run, program: Program) -> float:
    """The fastest of some calls."""
    inputs = program.inputs
    found: list[float] = []
    run(*inputs)
    began = time.perf_counter()
    while len(found) < 3 or (len(found) < 50 and time.perf_counter() - began < SECONDS):
        start = time.perf_counter()
        run(*inputs)
        found.append(time.perf_counter() - start)
    return min(found)


def _remember(folder: Path, choice: dict[str, Any]) -> None:
    unfinished = folder / f"choice-{os.getpid()}.unfinished"
    unfinished.write_text(json.dumps(choice))
    os.replace(unfinished, folder / "choice.json")
