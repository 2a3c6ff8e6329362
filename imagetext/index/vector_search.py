"""The nearest vectors to a query: exact, or the best of the rows that an approximate FAISS index nominates.

Scores are always inner products of the vectors themselves; index.faiss only nominates candidates.
"""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss import swig_ptr
from numpy.typing import NDArray

from imagetext.index.kinds import Effort, Plan
from imagetext.index.manifest import FAISS_INDEX
from imagetext.wire.errors import IndexVersionError

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores and rows, both (queries, k), best first."""

SHALLOW = 128  # results; a search for more is answered exactly
FEW_ALLOWED = 0.1  # of all rows; so few are compared one by one

_SEED = 1234
_ITERATIONS = 8  # of k-means; more change the recall by less than 0.001
_POINTS = 64  # vectors per cell to train its centroid on
_TABLE_BYTES = 2**30  # FAISS may compute tables of this size when it opens an index
_CHUNK = 50_000  # vectors added at once: FAISS makes a copy in each step of an index

_untyped: Any = faiss  # its stubs lack these functions
_reading = threading.Lock()


class Searcher:
    """Searches (size, dimensions) float32 vectors, which may be memory-mapped. Thread-safe.

    Up to `SHALLOW` results the candidates do not depend on how many are asked for, so that the pages of an approximate
    search continue one another.
    """

    def __init__(
        self, vectors: NDArray[np.float32], candidates: "Candidates | None" = None, effort: Effort | None = None
    ) -> None:
        """Without candidates, every search is exact."""
        self._vectors = vectors
        self._candidates = candidates
        self._effort = effort

    def search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """The `k` nearest rows of each query, best first: scores and rows, both (n, k).

        Args:
            queries: (n, dimensions) float32, contiguous and finite.
            k: at most the number of allowed rows.
            allowed: the rows that may be found, each once; None: all of them.
        """
        exactly = self._candidates is None or k > SHALLOW
        if exactly or (allowed is not None and len(allowed) <= FEW_ALLOWED * len(self._vectors)):
            return self.exact(queries, k, allowed)
        return self._approximate(queries, k, allowed)

    def exact(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `search`, comparing every allowed vector."""
        if allowed is None:
            scores, rows = faiss.knn(queries, self._vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
            return scores, rows
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        size, dimensions = self._vectors.shape
        _untyped.knn_inner_products_by_idx(
            *(swig_ptr(each) for each in (queries, self._vectors, allowed)),
            *(dimensions, len(queries), size, len(allowed), k),
            *(swig_ptr(scores), swig_ptr(rows), 0),
        )
        return scores, rows

    def _approximate(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        assert self._candidates is not None and self._effort is not None
        rows = self._candidates.find(queries, self._effort, allowed)
        rows.sort(axis=1)  # so that the lower row comes first where scores are equal
        scores = self._score(queries, rows)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
        incomplete = np.flatnonzero(rows[:, -1] < 0) if rows.shape[1] == k else np.arange(len(rows))
        if not len(incomplete):
            return scores, rows
        # The cells that were visited hold too few.
        exact = self.exact(np.ascontiguousarray(queries[incomplete]), k, allowed)
        if len(incomplete) == len(queries):
            return exact
        scores[incomplete], rows[incomplete] = exact
        return scores, rows

    def _score(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inner products (n, candidates) of each query with its candidates; -inf for row -1."""
        scores = np.empty(rows.shape, dtype=np.float32)
        _untyped.fvec_inner_products_by_idx(
            *(swig_ptr(each) for each in (scores, queries, self._vectors, rows)),
            *(self._vectors.shape[1], len(queries), rows.shape[1]),
        )
        return scores


class Candidates:
    """An approximate FAISS index. Thread-safe: its parameters are passed with each call."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._opened: Any = faiss.downcast_index(index)
        self.cells: int | None = getattr(self._opened, "nlist", None)  # None: a graph

    @property
    def size(self) -> int:
        return int(self._index.ntotal)

    @property
    def shape(self) -> tuple[int, int]:
        """(size, dimensions) of the vectors that it was built from."""
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
        # The nearest of a subset lie farther away than the nearest of all.
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
            raise IndexVersionError(f"{FAISS_INDEX} names vectors that do not exist; the index version is damaged.")
        return rows

    def work(self, effort: Effort) -> float:
        """About how many bytes a search reads. Tuning compares settings by this: times would differ from run to run."""
        dimensions = int(self._index.d)
        scored = 2.0 * 4 * dimensions * effort.candidates  # random access costs at least twice as much
        if self.cells is None:
            return scored + 32.0 * dimensions * max(effort.probes, effort.candidates)
        return scored + int(self._opened.code_size) * effort.probes * self.size / self.cells


def make_candidates(path: str, plan: Plan, vectors: NDArray[np.float32]) -> None:
    """Train an index on the vectors (size, dimensions), fill it and write it.

    Equal vectors give equal files: seeds are fixed and one thread does it all, as FAISS builds graphs in the order in
    which its threads happen to run.

    Raises:
        IndexVersionError: the disk is full.
    """
    with _one_thread():
        index: Any = faiss.index_factory(vectors.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
        cells = getattr(index, "nlist", None)
        if cells is not None:
            index.cp.niter, index.cp.max_points_per_centroid, index.cp.seed = _ITERATIONS, _POINTS, _SEED
            index.cp.min_points_per_centroid = 1  # small collections have fewer than FAISS's 39, and it would warn
        index.train(_sample(vectors, _POINTS * (cells or 1_024)))
        for start in range(0, len(vectors), _CHUNK):
            index.add(np.ascontiguousarray(vectors[start : start + _CHUNK], dtype=np.float32))
    try:
        faiss.write_index(index, path)
    except RuntimeError as error:
        raise IndexVersionError(f"{FAISS_INDEX} cannot be written; the disk may be full.") from error


def open_candidates(path: str, version: str) -> Candidates:
    """Map the file into memory; a search reads only what it needs.

    Raises:
        IndexVersionError: FAISS cannot read it, or it is of an unknown kind.
    """
    try:
        with _reading:  # the limit is FAISS's own, for the whole process
            limit = max(os.path.getsize(path), _TABLE_BYTES)  # without one, a damaged length allocates all memory
            _untyped.set_deserialization_vector_byte_limit(limit)
            index = faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
    except (RuntimeError, MemoryError, OSError) as error:
        raise IndexVersionError(f"{FAISS_INDEX} of index version {version} cannot be opened.") from error
    known = isinstance(index, faiss.IndexIVF | faiss.IndexHNSW)
    if not known or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise IndexVersionError(f"{FAISS_INDEX} of index version {version} does not agree with the manifest.")
    return Candidates(index)


def faiss_path(folder: Path) -> str:
    """The path of a version's FAISS file, as FAISS takes it. Raises IndexVersionError unless it is valid UTF-8."""
    path = str(folder / FAISS_INDEX)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise IndexVersionError("FAISS can only open an index in a folder whose path is valid UTF-8.") from error
    return path


def _sample(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if len(vectors) <= count:
        return np.ascontiguousarray(vectors, dtype=np.float32)
    rows = np.random.default_rng(_SEED).choice(len(vectors), count, replace=False)
    return np.ascontiguousarray(vectors[np.sort(rows)], dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
