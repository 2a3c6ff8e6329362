"""A query to a page of hits."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from imagetext.composition import composed
from imagetext.index import PictureRow
from imagetext.index.open_version import OpenVersion
from imagetext.models.encoder.engine import Encoder
from imagetext.wire.contracts import Hit, IndexRef, SearchOptions, SearchReply
from imagetext.wire.errors import DeadlineExceeded
from imagetext.wire.query import Part, wanted_words
from services.retrieval.current_index import CurrentIndex
from services.retrieval.query_encoder import QueryEncoder, Vector
from services.retrieval.ranking import Ranked, Wanted, rank

SHOWN_CAPTIONS = 3


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
            parts: what `imagetext.wire.query` makes of a request; pictures are bytes.

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
    reader: OpenVersion, encoder: Encoder, parts: Sequence[EncodedPart], words: str, options: SearchOptions
) -> tuple[IndexRef, list[Hit]]:
    """All of it on one state of the index. Indexed pictures that are searched with are not among the hits."""
    own = [reader.by_id(part.meaning).row for part in parts if isinstance(part.meaning, str)]
    named = iter(own)
    vectors = [reader.vector(next(named)) if isinstance(part.meaning, str) else part.meaning for part in parts]
    target = composed(vectors, [part.weight for part in parts])
    filter = None if options.filter is None or options.filter.is_empty else options.filter
    wanted = Wanted(options.offset, options.k, own, options.min_relevance, options.collapse_duplicates, words, filter)
    page = rank(reader, target, wanted, lambda scores: encoder.relevance(target, scores))
    return IndexRef(version=reader.info.version, size=reader.info.size), _hits(reader, page)


def _hits(reader: OpenVersion, page: Ranked) -> list[Hit]:
    shown = page.rows.tolist()  # SQLite takes no integers of NumPy
    others = [row for rows in page.duplicates for row in rows]
    found = iter(reader.pictures([*shown, *others]))  # at once: each look may be a way to another machine
    pictures = list(islice(found, len(shown)))
    duplicates = [[each.id for each in islice(found, len(rows))] for rows in page.duplicates]
    return [
        _hit(picture, float(score), float(relevance), others)
        for picture, score, relevance, others in zip(pictures, page.scores, page.relevance, duplicates, strict=True)
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
