"""Several rankings of the same rows as one: reciprocal rank fusion.

Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR. Scores of different kinds need not be comparable: only the places count.

The nearest vectors to a query: exactly, or the best of the rows that an index nominates.
"""

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from faiss import swig_ptr
from numpy.typing import NDArray

from imagetext.index.candidates import Candidates, Effort

K = 60  # the paper's constant: how little the first places stand out


def fuse(rankings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All rows of the rankings (each best first, a row once), by the sum of 1 / (K + place); equal ones by row."""
    rows, where = np.unique(np.concatenate(rankings), return_inverse=True)
    shares = np.concatenate([1 / (K + 1 + np.arange(len(ranking))) for ranking in rankings])
    sums = np.bincount(where, weights=shares, minlength=len(rows))
    fused: NDArray[np.int64] = rows[np.argsort(-sums, kind="stable")]
    return fused


def taking_turns(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two rankings of different rows as one: the best of each, then the second of each, and so on."""
    places = np.concatenate([2 * np.arange(len(first)), 2 * np.arange(len(second)) + 1])
    together: NDArray[np.int64] = np.concatenate([first, second])[np.argsort(places, kind="stable")]
    return together


_untyped: Any = faiss  # its stubs lack these functions

SHALLOW = 128  # results; who asks for more pages deep, and is answered exactly
FEW_ALLOWED = 0.1  # of all rows; so few are looked at one by one

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


class Searcher:
    """Searches (size, dimensions) float32 vectors, which may be mapped from a file; all threads may share it.

    Scores are always inner products of the vectors themselves. Up to `SHALLOW` results the candidates do not depend on
    how many are asked for, so that the pages of an approximate search continue one another.
    """

    def __init__(self, vectors: NDArray[np.float32], candidates: Candidates | None, effort: Effort | None) -> None:
        self._vectors = vectors
        self._candidates = candidates
        self._effort = effort

    def search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """The `k` nearest rows of each query, best first: scores and rows, both (n, k).

        Args:
            queries: (n, dimensions) float32, contiguous and finite.
            k: as many as there are allowed rows at most.
            allowed: the rows that may be found, each once; None: all of them.
        """
        exactly = self._candidates is None or k > SHALLOW
        if exactly or (allowed is not None and len(allowed) <= FEW_ALLOWED * len(self._vectors)):
            return self.exact(queries, k, allowed)
        return self._nominated(queries, k, allowed)

    def exact(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `search`, with a look at every allowed vector."""
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

    def _nominated(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        assert self._candidates is not None and self._effort is not None
        rows = self._candidates.find(queries, self._effort, allowed)
        rows.sort(axis=1)  # so that of equal scores the first row comes first
        scores = self._score(queries, rows)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
        short = np.flatnonzero(rows[:, -1] < 0) if rows.shape[1] == k else np.arange(len(rows))
        if len(short):  # the cells that were looked into hold too few
            return self._completed(queries, (scores, rows), k, allowed, short.tolist())
        return scores, rows

    def _completed(
        self,
        queries: NDArray[np.float32],
        found: Found,
        k: int,
        allowed: NDArray[np.int64] | None,
        short: Sequence[int],
    ) -> Found:
        exact = self.exact(np.ascontiguousarray(queries[short]), k, allowed)
        if len(short) == len(queries):
            return exact
        found[0][short], found[1][short] = exact
        return found

    def _score(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inner products (n, candidates) of each query with its candidates; -inf for row -1."""
        scores = np.empty(rows.shape, dtype=np.float32)
        _untyped.fvec_inner_products_by_idx(
            *(swig_ptr(each) for each in (scores, queries, self._vectors, rows)),
            *(self._vectors.shape[1], len(queries), rows.shape[1]),
        )
        return scores
