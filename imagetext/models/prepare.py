"""Exports models and chooses their engines for this processor, so that the services start in seconds.

    python -m imagetext.models.prepare encoder:models/retrieval captioner:models/caption-gru

Finished work is skipped, so it can run before every start. Images run it with --export-only while they are built,
because they may be started on another kind of processor.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagetext.engines import Engines, Network
from imagetext.machine import indexing_streams
from imagetext.models.exported import ENCODER, ExportedModel, ModelRef, export_missing, exported, load_networks
from imagetext.wire.errors import ImageTextError

INDEXING = "indexing"  # an encoder as the indexer uses it
PICTURES = "pictures"


@dataclass(frozen=True)
class Use:
    """A model, and whether it is for the indexer, which encodes only pictures, several batches at once."""

    wanted: ModelRef
    indexing: bool

    @classmethod
    def parse(cls, text: str) -> "Use":
        """indexing:models/retrieval, or as `ModelRef.parse`. Raises ArgumentTypeError."""
        indexing = text.startswith(f"{INDEXING}:")
        return cls(ModelRef.parse(text.replace(INDEXING, ENCODER, 1) if indexing else text), indexing)


@dataclass(frozen=True)
class Choice:
    """A network that has no engine yet."""

    model: ExportedModel
    engines: Engines
    network: str


def prepare(uses: Sequence[Use], folder: Path, *, export_only: bool) -> None:
    """Raises ModelError if a model cannot be loaded."""
    began = time.monotonic()
    engines = Engines(folder)
    has_exported = export_missing(list(dict.fromkeys(use.wanted for use in uses)), engines)
    left = [] if export_only else [choice for use in uses for choice in _choices(use, folder)]
    for number, choice in enumerate(left, 1):
        sys.stderr.write(f"Choosing engines ({number}/{len(left)}): {choice.network} of {choice.model.source} ... ")
        sys.stderr.flush()
        loaded = load_networks(choice.model, choice.engines)(choice.network)
        took = f", {loaded.seconds[1] * 1000:.2f} ms" if 1 in loaded.seconds else ""
        sys.stderr.write(f"{loaded.engine}{took}\n")
        for engine, reason in loaded.refused.items():
            sys.stderr.write(f"    {engine} was rejected: {reason}\n")
    if has_exported or left:
        sys.stderr.write(f"Prepared in {time.monotonic() - began:.0f} s; the next start takes seconds.\n")


def _choices(use: Use, folder: Path) -> list[Choice]:
    """The networks of a model that have no engine yet."""
    engines = Engines(folder, streams=indexing_streams() if use.indexing else 1)
    model = exported(use.wanted.kind, use.wanted.source, engines)
    names = [PICTURES] if use.indexing else sorted(file.stem for file in model.folder.glob("*.safetensors"))
    names = [name for name in names if (model.folder / f"{name}.onnx").exists()]
    left = [name for name in names if not engines.has_chosen(Network.open(model.folder, name))]
    return [Choice(model, engines, name) for name in left]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m imagetext.models.prepare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "models", nargs="+", type=Use.parse, metavar="KIND:MODEL", help="encoder:…, captioner:… or indexing:…"
    )
    parser.add_argument("--engines", type=Path, default=Path("data/engines"), help="where exports and choices are kept")
    parser.add_argument("--export-only", action="store_true", help="choose no engines")
    options = parser.parse_args(argv)
    try:
        prepare(options.models, options.engines, export_only=options.export_only)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
