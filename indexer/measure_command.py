"""`python -m indexer measure`: the kinds of index side by side, for a version or for any vectors."""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import InvalidParameter, NotFound
from imagetext.index import current_version, version_folder
from imagetext.index.kinds import KINDS
from imagetext.index.manifest import VECTORS
from indexer.measurement import heads, line, measure_kinds

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """It sets `run`, which is given the options and what to print with, and returns the exit status."""
    parser = commands.add_parser("measure", help="build, tune and compare the kinds of index for a collection")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--index", type=Path, metavar="DIR", help="measure with the vectors of its current version")
    source.add_argument("--vectors", type=Path, metavar="FILE", help="or with those of an .npy file, unit rows")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="those to measure; all of them")
    parser.add_argument("--target-recall", type=float, default=0.98, metavar="PART", help="of the nearest (0.98)")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="room for the largest index; the system's own")
    parser.add_argument("--json", action="store_true", help="write one line of JSON for each kind")
    parser.set_defaults(run=_measure)


def _measure(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    vectors = _vectors(options)
    if not options.json:
        say(f"{len(vectors):,} vectors of {vectors.shape[1]} numbers, recall of {options.target_recall:g} or more\n")
        say(heads())
    scratch = options.scratch or Path(tempfile.gettempdir())
    failed = False
    for outcome in measure_kinds(vectors, scratch, options.target_recall, options.kinds):
        say(json.dumps(outcome) if options.json else line(outcome))
        failed |= outcome["error"] is not None
    return int(failed)


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
        raise InvalidParameter(f"{file} is no .npy file of numbers.") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not len(vectors) or not vectors.flags.c_contiguous:
        raise InvalidParameter(f"{file} must hold rows of float32 numbers in C order.")
    return vectors  # type: ignore[no-any-return]  # numpy's stubs cannot know the dtype of a file
