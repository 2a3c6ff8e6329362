"""A query to a page of hits."""

import asyncio
import time
from dataclasses import dataclass

from imagetext.contracts import Hit, IndexRef, SearchReply
from imagetext.encoder.engine import Encoder
from imagetext.errors import DeadlineExceeded
from imagetext.index import PictureRow
from imagetext.index.open_version import OpenVersion
from imagetext.search_filter import SearchFilter
from services.retrieval.current_index import CurrentIndex
from services.retrieval.hybrid import hybrid
from services.retrieval.query_encoder import QueryEncoder, Vector
from services.retrieval.ranking import best

SHOWN_CAPTIONS = 3


@dataclass(frozen=True)
class Words:
    text: str
    hybrid: bool = False  # also by the words of captions, tags and paths


@dataclass(frozen=True)
class Like:
    id: str  # of an indexed picture, which is not among its own hits


@dataclass(frozen=True)
class PictureFile:
    content: bytes


Query = Words | Like | PictureFile


@dataclass(frozen=True)
class Page:
    k: int
    offset: int
    filter: SearchFilter | None = None


class Searching:
    def __init__(self, queries: QueryEncoder, index: CurrentIndex, deadline_s: float) -> None:
        self._queries = queries
        self._index = index
        self._deadline_s = deadline_s

    async def search(self, query: Query, page: Page) -> SearchReply:
        """One page of the pictures that fit the query, best first.

        Raises:
            NotFound: no indexed picture has the id.
            Busy, Unavailable, DeadlineExceeded: no answer now.
            ImageTextError: what is wrong with the picture.
        """
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                target = await self._encode(query)
                encoder = self._queries.encoder
                index, hits = await self._index.search(lambda reader: _find(reader, encoder, query, target, page))
        except TimeoutError:
            raise DeadlineExceeded(f"No answer was ready within {self._deadline_s:g} seconds.") from None
        return SearchReply(index=index, results=hits, took_ms=round((time.perf_counter() - start) * 1000, 1))

    async def _encode(self, query: Query) -> Vector | Like:
        match query:
            case Words(text):
                return await self._queries.encode_text(text)
            case PictureFile(content):
                return await self._queries.encode_picture(content)
            case Like():
                return query  # its vector lies in the index


def _find(
    reader: OpenVersion, encoder: Encoder, query: Query, target: Vector | Like, page: Page
) -> tuple[IndexRef, list[Hit]]:
    """All of it on one state of the index."""
    allowed = None if page.filter is None else reader.matching(page.filter)
    if isinstance(target, Like):
        own_row = reader.by_id(target.id).row
        scores, rows = best(reader, reader.vector(own_row), page.offset + page.k + 1, allowed)
        scores, rows = scores[rows != own_row], rows[rows != own_row]
    elif isinstance(query, Words) and query.hybrid:
        scores, rows = hybrid(reader, query.text, target, page.offset + page.k, page.filter, allowed)
    else:
        scores, rows = best(reader, target, page.offset + page.k, allowed)
    wanted = slice(page.offset, page.offset + page.k)
    pictures = reader.pictures(rows[wanted].tolist())  # SQLite takes no integers of NumPy
    relevance = encoder.relevance(scores[wanted])
    hits = [
        _hit(picture, float(score), float(each))
        for picture, score, each in zip(pictures, scores[wanted], relevance, strict=True)
    ]
    return IndexRef(version=reader.info.version, size=reader.info.size), hits


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
        taken=picture.taken,
        tags=list(picture.tags),
        captions=list(picture.captions[:SHOWN_CAPTIONS]),
    )
