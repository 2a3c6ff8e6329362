"""Embedding-like vectors for `python -m indexer measure`: `python -m bench.synthetic FILE.npy --size 1000000`.

A command of its own, so that no index or service has to be there to make them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.rows.vector_search import DIMENSIONS, Clusters


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.synthetic", description="Write synthetic vectors.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    write(options.file, options.size)
    return 0


def write(file: Path, size: int) -> None:
    """(size, DIMENSIONS) float32, unit rows, the same each time."""
    out = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(size, DIMENSIONS))
    start = 0
    for chunk in Clusters().chunks(size):
        out[start : start + len(chunk)] = chunk
        start += len(chunk)
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
