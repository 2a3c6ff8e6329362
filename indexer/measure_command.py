"""`python -m indexer measure`: each kind of index is built for some vectors, tuned, measured and thrown away."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetext.index import current_version, version_folder
from imagetext.index.kinds import KINDS, IndexOptions
from imagetext.index.manifest import VECTORS
from imagetext.index.tuning import choose
from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.reports import Context, shown_bytes

_HEADINGS = ("kind", "built as", "probes", "candidates", "recall@10", "queries/s", "against flat", "memory", "build")


def measure(options: argparse.Namespace, context: Context) -> int:
    vectors = _vectors(options)
    if not options.json:
        context.say(
            f"{len(vectors):,} vectors of {vectors.shape[1]} numbers, recall of {options.target_recall:g} or more\n"
        )
        context.say(_headings())
    scratch = options.scratch or Path(tempfile.gettempdir())
    failed = False
    for outcome in measure_kinds(vectors, scratch, options.target_recall, options.kinds):
        context.say(json.dumps(outcome) if options.json else _line(outcome))
        failed |= outcome["error"] is not None
    return int(failed)


def measure_kinds(
    vectors: NDArray[np.float32], scratch: Path, target_recall: float, kinds: Sequence[str] = KINDS
) -> Iterator[dict[str, Any]]:
    """One outcome after the other, since each may take minutes; `error` if a kind does not reach the target.

    Args:
        vectors: (size, dimensions) float32, unit rows; may be mapped from a file.
        scratch: a folder with room for the largest index, about a quarter of the vectors.
    """
    for kind in kinds:
        start = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(dir=scratch, prefix=".measuring-") as folder:
                chosen = choose(Path(folder), vectors, IndexOptions(kind, target_recall))
        except InvalidParameter as error:
            yield {"kind": kind, "error": error.detail}
            continue
        yield {
            "kind": chosen.kind,
            "factory": chosen.factory,
            "effort": None if chosen.effort is None else asdict(chosen.effort),
            **asdict(chosen.measured),
            "seconds": round(time.perf_counter() - start, 1),
            "error": None,
        }


def _vectors(options: argparse.Namespace) -> NDArray[np.float32]:
    file = options.vectors
    if file is None:
        version = current_version(options.index)
        if version is None:
            raise NotFound(f"There is no version in {options.index} yet.")
        file = version_folder(options.index, version) / VECTORS
    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidParameter(f"{file} cannot be read as an .npy file of numbers.") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not len(vectors) or not vectors.flags.c_contiguous:
        raise InvalidParameter(f"{file} must hold at least one row of float32 numbers, in C order.")
    return vectors  # type: ignore[no-any-return]  # numpy's stubs cannot know the dtype of a file


def _headings() -> str:
    """The first two lines of a table in Markdown."""
    return f"| {' | '.join(_HEADINGS)} |\n|{'---|' * len(_HEADINGS)}"


def _line(outcome: dict[str, Any]) -> str:
    """One outcome as a line of the table."""
    if outcome["error"] is not None:
        return f"| {outcome['kind']} | {outcome['error']} |"
    effort = outcome["effort"] or {"probes": "", "candidates": ""}
    cells = (
        outcome["kind"],
        outcome["factory"] or "vectors.npy",
        str(effort["probes"]),
        str(effort["candidates"]),
        f"{outcome['recall']:.4f}",
        _short(outcome["queries_per_second"]),
        f"{_short(outcome['queries_per_second'] / outcome['exact_queries_per_second'])} ×",
        shown_bytes(outcome["memory_bytes"]),
        f"{outcome['seconds']:,.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
