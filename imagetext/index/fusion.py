"""Several rankings of the same rows as one: reciprocal rank fusion.

Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR. Scores of different kinds need not be comparable: only the places count.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
