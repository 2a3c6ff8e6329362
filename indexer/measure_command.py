"""`python -m indexer measure`: the kinds of index side by side, for a version or for any vectors."""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import InvalidParameter, NotFound
from imagetext.index import current_version, version_folder
from imagetext.index.manifest import VECTORS
from indexer.measurement import heads, line, measure_kinds


def measure(options: argparse.Namespace, say: Callable[[str], None]) -> int:
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
