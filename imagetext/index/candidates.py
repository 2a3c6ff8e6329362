"""What index.faiss of an approximate kind does: it nominates rows for a query. Only their vectors give the scores."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from imagetext.index.kinds import Plan
from imagetext.wire.errors import IndexVersionError

FAISS_INDEX = "index.faiss"

_untyped: Any = faiss  # its stubs lack what its own Python adds
_READING = threading.Lock()
_SEED = 1234
_ITERATIONS = 8  # of k-means; more change the recall by less than a thousandth
_POINTS = 64  # a cell, to train its centre with
_TABLE_BYTES = 2**30  # that FAISS may compute for itself when it opens an index
_CHUNK = 50_000  # vectors handed over at once: FAISS makes a copy in each step of an index


@dataclass(frozen=True)
class Effort:
    """How hard to look. `probes`: cells that are looked into, or the length of the graph search's list (efSearch).
    `candidates`: rows that are nominated."""

    probes: int
    candidates: int


class Candidates:
    """An approximate FAISS index. Its parameters go with each call, so all threads may share it."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._opened: Any = faiss.downcast_index(index)
        self.cells: int | None = getattr(self._opened, "nlist", None)  # None: a graph

    @property
    def size(self) -> int:
        return int(self._index.ntotal)

    @property
    def shape(self) -> tuple[int, int]:
        """(size, dimensions) of the vectors that it was made of."""
        return self.size, int(self._index.d)

    def find(
        self, queries: NDArray[np.float32], effort: Effort, allowed: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Row numbers (n, candidates) int64 in no particular order, -1 where fewer were found.

        Args:
            queries: (n, dimensions) float32, contiguous.
            allowed: the rows that may be found; None: all of them.
        """
        if allowed is None:
            return self._find(queries, effort, None)
        marks = np.zeros(self.size, dtype=bool)
        marks[allowed] = True
        selector = _untyped.IDSelectorBitmap(np.packbits(marks, bitorder="little"))
        # the nearest of a part lie farther away than the nearest of all
        probes = math.ceil(effort.probes * self.size / max(1, len(allowed)))
        return self._find(queries, Effort(probes, effort.candidates), selector)

    def _find(self, queries: NDArray[np.float32], effort: Effort, selector: Any) -> NDArray[np.int64]:
        count = min(effort.candidates, self.size)
        if self.cells is None:
            parameters = _untyped.SearchParametersHNSW(efSearch=max(effort.probes, count), sel=selector)
        else:
            parameters = _untyped.SearchParametersIVF(nprobe=min(effort.probes, self.cells), sel=selector)
        rows: NDArray[np.int64] = self._index.search(queries, count, params=parameters)[1]
        if rows.max() >= self.size:
            raise IndexVersionError(f"{FAISS_INDEX} names vectors that are not there; the index version is damaged.")
        return rows

    def work(self, effort: Effort) -> float:
        """About how many bytes a search reads: what decides between settings, as the time would differ each time."""
        numbers = int(self._index.d)
        scored = 2.0 * 4 * numbers * effort.candidates  # read at random places, which costs twice as much at least
        if self.cells is None:
            return scored + 32.0 * numbers * max(effort.probes, effort.candidates)
        return scored + int(self._opened.code_size) * effort.probes * self.size / self.cells


def make_candidates(path: str, plan: Plan, vectors: NDArray[np.float32]) -> None:
    """Train an index on the vectors (size, dimensions), fill it and write it.

    Equal vectors give equal files: seeds are fixed and one thread does it all, as FAISS builds graphs in the order in
    which threads happen to come.

    Raises:
        IndexVersionError: the disk is full.
    """
    with _one_thread():
        index: Any = faiss.index_factory(vectors.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
        cells = getattr(index, "nlist", None)
        if cells is not None:
            index.cp.niter, index.cp.max_points_per_centroid, index.cp.seed = _ITERATIONS, _POINTS, _SEED
            index.cp.min_points_per_centroid = 1  # fewer than FAISS's 39 do in small collections, and it would warn
        index.train(_sample(vectors, _POINTS * (cells or 1_024)))
        for start in range(0, len(vectors), _CHUNK):
            index.add(np.ascontiguousarray(vectors[start : start + _CHUNK], dtype=np.float32))
    try:
        faiss.write_index(index, path)
    except RuntimeError as error:
        raise IndexVersionError(f"{FAISS_INDEX} cannot be written; the disk may be full.") from error


def open_candidates(path: str, version: str) -> Candidates:
    """Map the file into memory; nothing is read that a search does not need.

    Raises:
        IndexVersionError: FAISS cannot read it, or it is of no kind that is searched here.
    """
    try:
        with _READING:  # the limit is FAISS's own, for the whole process
            limit = max(os.path.getsize(path), _TABLE_BYTES)  # without one, a damaged length takes all memory
            _untyped.set_deserialization_vector_byte_limit(limit)
            index = faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
    except (RuntimeError, MemoryError, OSError) as error:
        raise IndexVersionError(f"{FAISS_INDEX} of index version {version} cannot be opened.") from error
    known = isinstance(index, faiss.IndexIVF | faiss.IndexHNSW)
    if not known or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise IndexVersionError(f"{FAISS_INDEX} of index version {version} does not agree with the manifest.")
    return Candidates(index)


def faiss_path(folder: Path) -> str:
    """The path of a version's FAISS file as FAISS takes it. Raises IndexVersionError when it cannot take it."""
    path = str(folder / FAISS_INDEX)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise IndexVersionError("FAISS can only open an index in a folder whose path is valid UTF-8.") from error
    return path


def _sample(vectors: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    if len(vectors) <= number:
        return np.ascontiguousarray(vectors, dtype=np.float32)
    rows = np.random.default_rng(_SEED).choice(len(vectors), number, replace=False)
    return np.ascontiguousarray(vectors[np.sort(rows)], dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
