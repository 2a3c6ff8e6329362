"""A query to a page of hits."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetext.composition import composed
from imagetext.contracts import Hit, IndexRef, SearchOptions, SearchReply
from imagetext.encoder.engine import Encoder
from imagetext.errors import DeadlineExceeded
from imagetext.index import IndexReader, PictureRow
from imagetext.query import Part
from services.retrieval.current_index import CurrentIndex
from services.retrieval.query_encoder import QueryEncoder, Vector


@dataclass(frozen=True)
class EncodedPart:
    """What is searched with: a vector, or the id of an indexed picture, whose vector lies in the index."""

    meaning: Vector | str
    weight: float


class Searching:
    def __init__(self, queries: QueryEncoder, index: CurrentIndex, deadline_s: float) -> None:
        self._queries = queries
        self._index = index
        self._deadline_s = deadline_s

    async def search(self, parts: Sequence[Part], options: SearchOptions) -> SearchReply:
        """One page of the pictures that fit the query, best first.

        Args:
            parts: what `imagetext.query` makes of a request; pictures are bytes.

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
                index, hits = await self._index.search(lambda reader: _find(reader, encoder, encoded, options))
        except TimeoutError:
            raise DeadlineExceeded(f"No answer was ready within {self._deadline_s:g} seconds.") from None
        return SearchReply(index=index, results=hits, took_ms=round((time.perf_counter() - start) * 1000, 1))

    async def _encode_all(self, parts: Sequence[Part]) -> list[EncodedPart]:
        """They wait for the model together; when one of them fails, the others leave the queue."""
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
    reader: IndexReader, encoder: Encoder, parts: Sequence[EncodedPart], options: SearchOptions
) -> tuple[IndexRef, list[Hit]]:
    """All of it on one version. Indexed pictures that are searched with are not among the hits."""
    own = [reader.by_id(part.meaning).row for part in parts if isinstance(part.meaning, str)]
    named = iter(own)
    vectors = [reader.vector(next(named)) if isinstance(part.meaning, str) else part.meaning for part in parts]
    target = composed(vectors, [part.weight for part in parts])
    scores, rows = _best(reader, target, options.offset + options.k + len(own))
    if own:
        others = ~np.isin(rows, own)
        scores, rows = scores[others], rows[others]
    wanted = slice(options.offset, options.offset + options.k)
    pictures = reader.pictures(rows[wanted].tolist())  # SQLite takes no integers of NumPy
    relevance = encoder.relevance(scores[wanted])
    hits = [
        _hit(picture, float(score), float(each))
        for picture, score, each in zip(pictures, scores[wanted], relevance, strict=True)
    ]
    return IndexRef(version=reader.info.version, size=reader.info.size), hits


def _best(reader: IndexReader, vector: Vector, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `count` best rows and some more, in the order of score and then of row.

    Of rows that score the same FAISS may return any. So that pages neither overlap nor leave a row out, more are
    fetched until a row scores less than the `count`-th: then all that tie with that one are there.
    """
    fetched = count + 1
    while True:
        scores, rows = (found[0] for found in reader.search(vector[None], fetched))
        if len(rows) < fetched or scores[-1] < scores[count - 1]:
            break
        fetched *= 2
    order = np.lexsort((rows, -scores))
    return scores[order], rows[order]


def _hit(picture: PictureRow, score: float, relevance: float) -> Hit:
    return Hit(
        id=picture.id,
        path=picture.shown_path,
        score=score,
        relevance=relevance,
        url=f"/v1/images/{picture.id}",
        thumbnail_url=f"/v1/images/{picture.id}/thumbnail",
        width=picture.width,
        height=picture.height,
    )
