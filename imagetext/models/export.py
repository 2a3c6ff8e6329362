"""Exports models from torch to the folders that services read: `python -m imagetext.models.export
encoder:models/retrieval`.

Each line of its output is the folder of an export, or an error.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import torch

from imagetext.engines import Engines, Loaded
from imagetext.engines.choice import TORCH
from imagetext.engines.export import Program, export, load_in_fastest, run_in_torch
from imagetext.files import locked_if_possible
from imagetext.machine import usable_cores
from imagetext.models.exported import ENCODER, MODEL, ModelRef, name_of, publish
from imagetext.wire.errors import ImageTextError, ModelError


class TorchModel(Protocol):
    """A model in torch that can be exported."""

    def programs(self) -> Sequence[Program]: ...

    def save_facts(self, folder: Path) -> dict[str, Any]: ...


def load_in_torch(kind: str, source: str | Path) -> TorchModel:
    """Raises ModelError if nothing loadable is there."""
    if kind == ENCODER:
        from imagetext.models.encoder.load import load_in_torch as load_encoder_in_torch

        return load_encoder_in_torch(source)
    from imagetext.models.captioner.model import load_in_torch as load_captioner_in_torch

    return load_captioner_in_torch(source)


def export_model(kind: str, source: str, engines: Path) -> Path:
    """Export a model into a folder of `engines`, unless it is there already; returns the folder.

    Raises:
        ModelError: it cannot be loaded or exported.
    """
    began = time.monotonic()
    sys.stderr.write(f"Exporting {source} (once) ...\n")
    model = load_in_torch(kind, source)  # puts a hub id into the hub's cache
    name = name_of(source)
    if name is None:
        raise ModelError(f"{source} is not in the hub's cache.")
    folder, unfinished = engines / name, engines / f"{name}.unfinished"
    if (folder / MODEL).is_file():
        return folder
    unfinished.mkdir(parents=True, exist_ok=True)
    with locked_if_possible(unfinished, folder=True):  # of processes that start together, one exports
        if (folder / MODEL).is_file():
            with suppress(OSError):
                unfinished.rmdir()
            return folder
        for rest in unfinished.iterdir():
            rest.unlink()
        for program in model.programs():
            export(program, unfinished)
        facts = {"kind": kind, "source": source} | model.save_facts(unfinished)
        (unfinished / MODEL).write_text(json.dumps(facts), encoding="utf-8")
        publish(unfinished, folder)
    sys.stderr.write(f"Exported {source} in {time.monotonic() - began:.0f} s.\n")
    return folder


def in_engines(model: TorchModel, engines: Engines) -> Callable[[str], Loaded]:
    """A model's networks by name in the fastest engines, with nothing kept.

    Raises:
        ModelError: no engine can run one of them.
    """
    programs = {program.name: program for program in model.programs()}
    return lambda name: load_in_fastest(programs[name], engines)


def network_in_torch(kind: str, source: str, name: str, threads: int) -> Loaded:
    """One network of a model in torch, if no engine can run it."""
    torch.set_num_threads(threads)
    program = next(program for program in load_in_torch(kind, source).programs() if program.name == name)
    return Loaded(run_in_torch(program.module), TORCH)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m imagetext.models.export", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("models", nargs="+", type=ModelRef.parse, metavar="KIND:MODEL", help="encoder:… or captioner:…")
    parser.add_argument("--engines", type=Path, default=Path("data/engines"), help="where exports are kept")
    options = parser.parse_args(argv)
    if len(options.models) == 1:
        return _export_one(options.models[0], options.engines)
    # Half of the time goes into imports, so they happen once and each model is exported by a fork.
    threads = max(1, usable_cores() // len(options.models))
    with ProcessPoolExecutor(usable_cores(), get_context("fork"), torch.set_num_threads, (threads,)) as pool:
        return max(pool.map(partial(_export_one, engines=options.engines), options.models))


def _export_one(wanted: ModelRef, engines: Path) -> int:
    try:
        folder = export_model(wanted.kind, wanted.source, engines)
    except ImageTextError as error:
        sys.stdout.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    import transformers.modeling_utils  # noqa: F401  # before a fork, which shares what is imported

    sys.exit(main())
