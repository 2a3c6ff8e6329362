"""The rows of an index in the order in which they answer a query.

Whatever leaves pictures out does so before pages are cut, and decides about a picture by itself and those before it. So
the pages of a search continue one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetext.index import IndexReader

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

NEAR_DUPLICATE = 0.97  # cosine similarity; see docs/decisions/queries.md
DEPTHS = (128, 512, 2048)  # how many of the best pictures are looked at where duplicates are left out

Judge = Callable[[Floats], Floats]  # scores -> relevance, which rises with them


@dataclass(frozen=True)
class Wanted:
    """Which page of which rows. `own` are those that are searched with, and are not shown; None allows all others."""

    offset: int
    k: int
    own: Sequence[int] = ()
    min_relevance: float = 0.0
    collapse: bool = False
    allowed: Rows | None = None


@dataclass(frozen=True)
class Ranked:
    """Best first; `duplicates[i]` are the rows that `rows[i]` stands for, too."""

    rows: Rows
    scores: Floats
    relevance: Floats
    duplicates: list[list[int]]


def rank(reader: IndexReader, vector: Floats, wanted: Wanted, judge: Judge) -> Ranked:
    """One page of the rows that are shown. Where duplicates are collapsed, only the best 2,048 are looked at."""
    page, end = slice(wanted.offset, wanted.offset + wanted.k), wanted.offset + wanted.k
    if not wanted.collapse:
        rows, scores = _others(reader, vector, wanted, end)
        return _relevant(rows[page], scores[page], wanted.min_relevance, judge)
    for depth in DEPTHS:
        found = _relevant(*_others(reader, vector, wanted, depth), wanted.min_relevance, judge)
        shown = _collapsed(reader, found, wanted.own)
        if len(shown.rows) >= end or len(found.rows) < depth:
            break
    return Ranked(shown.rows[page], shown.scores[page], shown.relevance[page], shown.duplicates[page])


def _others(reader: IndexReader, vector: Floats, wanted: Wanted, count: int) -> tuple[Rows, Floats]:
    """The `count` best rows, or all, but for those that are searched with."""
    scores, rows = best(reader, vector, count + len(wanted.own), wanted.allowed)
    if wanted.own:
        others = np.isin(rows, wanted.own, invert=True)
        scores, rows = scores[others], rows[others]
    return rows[:count], scores[:count]


def _relevant(rows: Rows, scores: Floats, least: float, judge: Judge) -> Ranked:
    """Those that are relevant enough: the first ones."""
    relevance = judge(scores)
    count = int((relevance >= least).sum())
    return Ranked(rows[:count], scores[:count], relevance[:count], [[] for _ in range(count)])


def _collapsed(reader: IndexReader, found: Ranked, own: Sequence[int]) -> Ranked:
    """Those that are like none before them, and like none that is searched with."""
    if not len(found.rows):
        return found
    vectors = np.stack([reader.vector(row) for row in (*own, *found.rows.tolist())])
    groups = alike(vectors, len(own))
    first = [group[0] for group in groups]
    duplicates = [found.rows[group[1:]].tolist() for group in groups]
    return Ranked(found.rows[first], found.scores[first], found.relevance[first], duplicates)


def alike(vectors: Floats, known: int = 0) -> list[list[int]]:
    """Groups of near-duplicates: each has a leader, the first that is no near-duplicate of a leader before it.

    Args:
        vectors: (n, dimensions) unit rows.
        known: so many at the start are leaders that are not wanted themselves, nor what is like them.

    Returns:
        For each leader its place and those of its near-duplicates, counted from the first row that is not known.
    """
    near = vectors @ vectors.T >= NEAR_DUPLICATE
    free = np.ones(len(vectors), dtype=bool)
    groups = []
    for place in range(len(vectors)):
        if not free[place] and place >= known:
            continue
        own = near[place] & free
        free &= ~near[place]
        if place >= known:
            own[place] = False
            groups.append([place - known, *(np.flatnonzero(own) - known).tolist()])
    return groups


def best(reader: IndexReader, vector: Floats, count: int, allowed: Rows | None = None) -> tuple[Floats, Rows]:
    """The `count` best rows and some more, in the order of score and then of row.

    Of rows that score the same FAISS may return any. So that pages neither overlap nor leave a row out, more are
    fetched until a row scores less than the `count`-th: then all that tie with that one are there.
    """
    fetched = count + 1
    while True:
        scores, rows = (found[0] for found in reader.search(vector[None], fetched, allowed))
        if len(rows) < fetched or scores[-1] < scores[count - 1]:
            break
        fetched *= 2
    order = np.lexsort((rows, -scores))
    return scores[order], rows[order]
