"""A query to a page of hits: encode its parts, rank the rows of the index, and describe those on the page.

Whatever leaves pictures out does so before pages are cut, and decides about a picture from itself and those ranked
before it. So the pages of a search continue one another.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from imagetext.index import PictureRow
from imagetext.index.open_version import OpenVersion
from imagetext.index.row_search import fuse
from imagetext.models.encoder.engine import Encoder, composed
from imagetext.wire.errors import DeadlineExceeded
from imagetext.wire.index import IndexRef
from imagetext.wire.query import Part, wanted_words
from imagetext.wire.search import Hit, SearchOptions, SearchReply
from imagetext.wire.search_filter import SearchFilter
from services.retrieval.current_index import CurrentIndex
from services.retrieval.query_encoder import QueryEncoder, Vector

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
Judge = Callable[[Scores], Scores]  # scores -> relevance, which rises with them

FUSED = 100  # rows of each ranking; an approximate index stays approximate up to 128 (`SHALLOW` in vector_search.py)
NEAR_DUPLICATE = 0.97  # cosine similarity; see docs/decisions/queries.md
DEPTHS = (128, 512, 2048)  # how many of the best rows to examine, step by step, when duplicates are collapsed
SHOWN_CAPTIONS = 3


@dataclass(frozen=True)
class EncodedPart:
    """One part of a query: a vector, or the id of an indexed picture, whose vector is in the index."""

    meaning: Vector | str
    weight: float


class Searching:
    def __init__(self, queries: QueryEncoder, index: CurrentIndex, deadline_s: float) -> None:
        self._queries = queries
        self._index = index
        self._deadline_s = deadline_s

    async def search(self, parts: Sequence[Part], options: SearchOptions) -> SearchReply:
        """One page of the pictures that match the query, best first.

        Args:
            parts: those of a request as `imagetext.wire.query` returns them; pictures are bytes.

        Raises:
            NotFound: no indexed picture has the id.
            InvalidParameter: the parts cancel each other out.
            Busy, Unavailable, DeadlineExceeded: no answer now.
            ImageTextError: what is wrong with a picture.
        """
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                encoded = await self._encode_all(parts)
                encoder = self._queries.encoder
                slow = options.collapse_duplicates or options.hybrid or options.filter is not None
                run = self._index.use if slow else self._index.search
                words = wanted_words(parts) if options.hybrid else ""
                index, hits = await run(lambda reader: _find(reader, encoder, encoded, words, options))
        except TimeoutError:
            raise DeadlineExceeded(f"The search did not finish within {self._deadline_s:g} seconds.") from None
        return SearchReply(index=index, results=hits, took_ms=round((time.perf_counter() - start) * 1000, 1))

    async def _encode_all(self, parts: Sequence[Part]) -> list[EncodedPart]:
        """All parts at the same time; if one of them fails, the others leave the queue."""
        if len(parts) == 1:
            return [await self._encode(parts[0])]
        waiting = [asyncio.ensure_future(self._encode(part)) for part in parts]
        try:
            return await asyncio.gather(*waiting)
        finally:
            for each in waiting:
                each.cancel()

    async def _encode(self, part: Part) -> EncodedPart:
        match part.content:
            case bytes(picture):
                return EncodedPart(await self._queries.encode_picture(picture), part.weight)
            case str(text) if part.kind == "text":
                return EncodedPart(await self._queries.encode_text(text), part.weight)
            case id:
                return EncodedPart(id, part.weight)


def _find(
    reader: OpenVersion, encoder: Encoder, parts: Sequence[EncodedPart], words: str, options: SearchOptions
) -> tuple[IndexRef, list[Hit]]:
    """All of it on one state of the index. Indexed pictures that are part of the query are not among the hits."""
    own = [reader.by_id(part.meaning).row for part in parts if isinstance(part.meaning, str)]
    own_vectors = iter(reader.vectors(own) if own else ())
    vectors = [next(own_vectors) if isinstance(part.meaning, str) else part.meaning for part in parts]
    target = composed(vectors, [part.weight for part in parts])
    filter = None if options.filter is None or options.filter.is_empty else options.filter
    page = Page(options.offset, options.k, own, options.min_relevance, options.collapse_duplicates, words, filter)
    ranked = rank(reader, target, page, lambda scores: encoder.relevance(target, scores))
    return IndexRef(version=reader.info.version, size=reader.info.size), _hits(reader, ranked)


def _hits(reader: OpenVersion, ranked: "Ranked") -> list[Hit]:
    shown = ranked.rows.tolist()  # SQLite takes no integers of NumPy
    hidden = [row for rows in ranked.duplicates for row in rows]
    found = iter(reader.pictures([*shown, *hidden]))  # all in one call, which may go to another machine
    pictures = list(islice(found, len(shown)))
    duplicates = [[each.id for each in islice(found, len(rows))] for rows in ranked.duplicates]
    return [
        _hit(picture, float(score), float(relevance), ids)
        for picture, score, relevance, ids in zip(pictures, ranked.scores, ranked.relevance, duplicates, strict=True)
    ]


def _hit(picture: PictureRow, score: float, relevance: float, duplicates: list[str]) -> Hit:
    return Hit(
        id=picture.id,
        path=picture.shown_path,
        score=score,
        relevance=relevance,
        url=f"/v1/images/{picture.id}",
        thumbnail_url=f"/v1/images/{picture.id}/thumbnail",
        width=picture.width,
        height=picture.height,
        taken=picture.taken,
        tags=list(picture.tags),
        captions=list(picture.captions[:SHOWN_CAPTIONS]),
        duplicates=duplicates,
    )


@dataclass(frozen=True)
class Page:
    """Which rows to show.

    Attributes:
        own: rows that are part of the query, which are not shown.
        words: if not empty, the order also depends on these words in captions, tags and paths.
    """

    offset: int
    k: int
    own: Sequence[int] = ()
    min_relevance: float = 0.0
    collapse: bool = False
    words: str = ""
    filter: SearchFilter | None = None


@dataclass(frozen=True)
class Ranked:
    """Best first; `duplicates[i]` are the near-duplicates that `rows[i]` stands for."""

    rows: Rows
    scores: Scores
    relevance: Scores
    duplicates: list[list[int]]


def rank(reader: OpenVersion, vector: Vector, page: Page, judge: Judge) -> Ranked:
    """One page of rows. If duplicates are collapsed, or irrelevant rows may precede relevant ones, only the best 2,048
    are examined."""
    allowed = None if page.filter is None else reader.matching(page.filter)
    shown, end = slice(page.offset, page.offset + page.k), page.offset + page.k
    mixed = bool(page.words) and page.min_relevance > 0
    if not page.collapse and not mixed:
        rows, scores = _best_others(reader, vector, page, end, allowed)
        return _relevant(rows[shown], scores[shown], page.min_relevance, judge)
    for depth in DEPTHS:
        rows, scores = _best_others(reader, vector, page, depth, allowed)
        relevant = _relevant(rows, scores, page.min_relevance, judge)
        found = _collapsed(reader, relevant, page.own) if page.collapse else relevant
        exhausted = len(rows) < depth or (not mixed and len(relevant.rows) < len(rows))
        if len(found.rows) >= end or exhausted:
            break
    return Ranked(found.rows[shown], found.scores[shown], found.relevance[shown], found.duplicates[shown])


def alike(vectors: Scores, known: int = 0) -> list[list[int]]:
    """Groups of near-duplicates: each has a leader, the first that is not a near-duplicate of an earlier leader.

    Args:
        vectors: (n, dimensions) unit rows.
        known: the first `known` vectors are leaders whose groups are left out.

    Returns:
        For each leader its index and those of its near-duplicates, counted from the first vector that is not known.
    """
    near = vectors @ vectors.T >= NEAR_DUPLICATE
    free = np.ones(len(vectors), dtype=bool)
    groups = []
    for leader in range(len(vectors)):
        if not free[leader] and leader >= known:
            continue
        group = near[leader] & free
        free &= ~near[leader]
        if leader >= known:
            group[leader] = False
            groups.append([leader - known, *(np.flatnonzero(group) - known).tolist()])
    return groups


def _best_others(
    reader: OpenVersion, vector: Vector, page: Page, count: int, allowed: Rows | None
) -> tuple[Rows, Scores]:
    """The `count` best rows without those that are part of the query."""
    needed = count + len(page.own)
    if page.words:
        scores, rows = _hybrid(reader, page.words, vector, needed, page.filter, allowed)
    else:
        scores, rows = _best(reader, vector, needed, allowed)
    if page.own:
        others = np.isin(rows, page.own, invert=True)
        scores, rows = scores[others], rows[others]
    return rows[:count], scores[:count]


def _best(reader: OpenVersion, vector: Vector, count: int, allowed: Rows | None) -> tuple[Scores, Rows]:
    """The `count` best rows and some more, ordered by score and then by row.

    FAISS may return any of several rows that score the same. So that pages neither overlap nor miss a row, more are
    fetched until one scores less than the `count`-th: then all that tie with that one are found.
    """
    fetched = count + 1
    while True:
        scores, rows = (found[0] for found in reader.search(vector[None], fetched, allowed))
        if len(rows) < fetched or scores[-1] < scores[count - 1]:
            break
        fetched *= 2
    order = np.lexsort((rows, -scores))
    return scores[order], rows[order]


def _hybrid(
    reader: OpenVersion, text: str, vector: Vector, count: int, filter: SearchFilter | None, allowed: Rows | None
) -> tuple[Scores, Rows]:
    """As `_best`, in the order of the fused rankings by vector and by words; rows in neither follow in the order of the
    vector. The order does not depend on `count`.

    Args:
        allowed: the rows that pass `filter`.
    """
    by_vector = _best(reader, vector, FUSED, allowed)[1][:FUSED]
    by_words = reader.ranked_by_words(text, FUSED, filter)
    rows = fuse([by_vector, by_words])
    if len(rows) < count:
        further = _best(reader, vector, count, allowed)[1]
        rows = np.concatenate([rows, further[~np.isin(further, rows)]])
    return reader.score(vector, rows), rows


def _relevant(rows: Rows, scores: Scores, min_relevance: float, judge: Judge) -> Ranked:
    relevance = judge(scores)
    kept = relevance >= min_relevance
    return Ranked(rows[kept], scores[kept], relevance[kept], [[] for _ in range(int(kept.sum()))])


def _collapsed(reader: OpenVersion, found: Ranked, own: Sequence[int]) -> Ranked:
    """Without near-duplicates of an earlier row, or of a row that is part of the query."""
    if not len(found.rows):
        return found
    vectors = reader.vectors([*own, *found.rows.tolist()])
    groups = alike(vectors, len(own))
    first = [group[0] for group in groups]
    duplicates = [found.rows[group[1:]].tolist() for group in groups]
    return Ranked(found.rows[first], found.scores[first], found.relevance[first], duplicates)
