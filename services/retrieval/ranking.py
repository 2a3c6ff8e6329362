"""The rows of an index that are nearest to a vector, in an order that does not change.

The ranking of a vector fused with that of words in captions, tags and paths.

The rows of an index in the order in which they answer a query.

Whatever leaves pictures out does so before pages are cut, and decides about a picture by itself and those before it. So
the pages of a search continue one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetext.index.open_version import OpenVersion
from imagetext.index.searcher import fuse
from imagetext.wire.search_filter import SearchFilter

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]


def best(reader: OpenVersion, vector: Scores, count: int, allowed: Rows | None = None) -> tuple[Scores, Rows]:
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


FUSED = 100  # rows of each ranking that are fused; an approximate index stays one up to 128 (`SHALLOW` in searcher.py)


def hybrid(
    reader: OpenVersion,
    text: str,
    vector: NDArray[np.float32],
    count: int,
    filter: SearchFilter | None = None,
    allowed: Rows | None = None,
) -> tuple[Scores, Rows]:
    """As `best`, in the order of the fused rankings of the vector and of the words; what neither holds follows in the
    order of the vector. How many are asked for does not change the order.

    Args:
        allowed: the rows that pass `filter`.
    """
    by_vector = best(reader, vector, FUSED, allowed)[1][:FUSED]
    by_words = reader.ranked_by_words(text, FUSED, filter)
    rows = fuse([by_vector, by_words])
    if len(rows) < count:
        further = best(reader, vector, count, allowed)[1]
        rows = np.concatenate([rows, further[~np.isin(further, rows)]])
    return reader.score(vector, rows), rows


Floats = NDArray[np.float32]

NEAR_DUPLICATE = 0.97  # cosine similarity; see docs/decisions/queries.md
DEPTHS = (128, 512, 2048)  # how many of the best pictures are looked at where duplicates are left out

Judge = Callable[[Floats], Floats]  # scores -> relevance, which rises with them


@dataclass(frozen=True)
class Wanted:
    """Which page of which rows. `own` are those that are searched with, and are not shown; with `words`, the order is
    also that of the words in captions, tags and paths."""

    offset: int
    k: int
    own: Sequence[int] = ()
    min_relevance: float = 0.0
    collapse: bool = False
    words: str = ""
    filter: SearchFilter | None = None


@dataclass(frozen=True)
class Ranked:
    """Best first; `duplicates[i]` are the rows that `rows[i]` stands for, too."""

    rows: Rows
    scores: Floats
    relevance: Floats
    duplicates: list[list[int]]


def rank(reader: OpenVersion, vector: Floats, wanted: Wanted, judge: Judge) -> Ranked:
    """One page of the rows that are shown. Where duplicates are collapsed, or what is irrelevant stands between what is
    not, only the best 2,048 are looked at."""
    allowed = None if wanted.filter is None else reader.matching(wanted.filter)
    page, end = slice(wanted.offset, wanted.offset + wanted.k), wanted.offset + wanted.k
    mixed = bool(wanted.words) and wanted.min_relevance > 0
    if not wanted.collapse and not mixed:
        rows, scores = _others(reader, vector, wanted, end, allowed)
        return _relevant(rows[page], scores[page], wanted.min_relevance, judge)
    for depth in DEPTHS:
        rows, scores = _others(reader, vector, wanted, depth, allowed)
        found = _relevant(rows, scores, wanted.min_relevance, judge)
        shown = _collapsed(reader, found, wanted.own) if wanted.collapse else found
        all_seen = len(rows) < depth or (not mixed and len(found.rows) < len(rows))
        if len(shown.rows) >= end or all_seen:
            break
    return Ranked(shown.rows[page], shown.scores[page], shown.relevance[page], shown.duplicates[page])


def _others(
    reader: OpenVersion, vector: Floats, wanted: Wanted, count: int, allowed: Rows | None
) -> tuple[Rows, Floats]:
    """The `count` best rows, or all, but for those that are searched with."""
    number = count + len(wanted.own)
    if wanted.words:
        scores, rows = hybrid(reader, wanted.words, vector, number, wanted.filter, allowed)
    else:
        scores, rows = best(reader, vector, number, allowed)
    if wanted.own:
        others = np.isin(rows, wanted.own, invert=True)
        scores, rows = scores[others], rows[others]
    return rows[:count], scores[:count]


def _relevant(rows: Rows, scores: Floats, least: float, judge: Judge) -> Ranked:
    """Those that are relevant enough; in the order of the score these are the first ones."""
    relevance = judge(scores)
    kept = relevance >= least
    return Ranked(rows[kept], scores[kept], relevance[kept], [[] for _ in range(int(kept.sum()))])


def _collapsed(reader: OpenVersion, found: Ranked, own: Sequence[int]) -> Ranked:
    """Those that are like none before them, and like none that is searched with."""
    if not len(found.rows):
        return found
    vectors = reader.vectors([*own, *found.rows.tolist()])
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
