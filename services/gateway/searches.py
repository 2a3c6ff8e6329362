"""Searches, looked up in the cache under the index version that answers them now.

Replies stay the bytes that the retrieval service sent. All that changes is `took_ms`, their last field: a reply is
passed on and cached cut off before that value, and each caller's time is appended.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from imagetext.wire.index import IndexInfo
from imagetext.wire.query import Part, parts_with_picture
from imagetext.wire.search import INDEX_VERSION_HEADER, ImageSearchOptions, SearchOptions, SearchReply, SearchRequest
from services.chassis.picture_requests import query_parts
from services.gateway.cache import MAX_BYTES_ON_LOOP, Cache, SingleFlight, digests_of, query_identity, search_key
from services.gateway.messages import Body, Reply, form_body, json_body
from services.gateway.upstream import Deadline, Upstream
from services.gateway.watched import Watched

_TOOK_MS = b'"took_ms":'
_AFTER_TOOK_MS = re.compile(rb"\s*[-+.0-9eE]+\s*\}\s*")


def without_time(reply: bytes) -> bytes:
    """A reply up to the value of `took_ms`. Raises ValueError if it does not end with that field."""
    start, name, end = reply.rpartition(_TOOK_MS)
    if not (name and start.startswith(b"{") and _AFTER_TOOK_MS.fullmatch(end)):
        raise ValueError("not a reply to a search")
    return start + name


def with_time(reply: bytes, seconds: float) -> bytes:
    """A whole reply again, from one without its time."""
    return reply + b"%.1f}" % (seconds * 1000)


@dataclass(frozen=True)
class Search:
    """One search: what tells it from others, and the request to the retrieval service."""

    identity: str
    path: str
    body: Callable[[], Body]  # made only if the cache has no reply
    is_large: bool = False  # to write the body takes long


async def search_by_request(request: SearchRequest) -> Search:
    """Raises InvalidParameter if there is nothing to search for, or a part is impossible."""
    parts = await query_parts(request)
    is_large = sum(len(part.content) for part in parts) > MAX_BYTES_ON_LOOP
    identity = await _identity(parts, request)
    return Search(identity, "/v1/search", lambda: json_body(_single_spaced(request)), is_large)


async def search_by_picture(picture: bytes, options: ImageSearchOptions) -> Search:
    """Raises InvalidParameter if a part beside the picture is impossible."""
    identity = await _identity(parts_with_picture(picture, options), options)
    return Search(identity, "/v1/search/image", lambda: form_body([picture], options))


class Searches:
    """Gives replies without their time."""

    def __init__(self, upstream: Upstream, index: Watched[IndexInfo], cache: Cache, lookups: Counter) -> None:
        self._upstream = upstream
        self._index = index
        self._cache = cache
        self._hits, self._misses = (lookups.labels("search", outcome) for outcome in ("hit", "miss"))
        self._flights: SingleFlight[bytes] = SingleFlight()

    async def look_up(self, search: Search) -> bytes | None:
        """The reply in the cache."""
        index = self._index.value
        if index is None:
            return None
        [reply] = await self._cache.get([search_key(search.identity, index)])
        (self._hits if reply else self._misses).inc()
        return reply

    async def find(self, search: Search, deadline: Deadline) -> bytes:
        """The reply of the retrieval service, asked once for all who search the same at the same time.

        Raises:
            ImageTextError: the retrieval service's error.
        """
        index = self._index.value
        flight = search_key(search.identity, index) if index else search.identity
        return await self._flights.run(flight, lambda: self._ask(search, deadline))

    async def _ask(self, search: Search, deadline: Deadline) -> bytes:
        body = await asyncio.to_thread(search.body) if search.is_large else search.body()
        reply = await self._upstream.post(search.path, body, deadline)
        version, content = reply.headers.get(INDEX_VERSION_HEADER), _content(reply)
        if version is None or content is None:
            raise self._upstream.unreadable(SearchReply)
        await self._store(search.identity, version, content)
        return content

    async def _store(self, identity: str, version: str, reply: bytes) -> None:
        """Keeps the reply if it is of the index version that is known; otherwise has the version asked for soon."""
        index = self._index.value
        if index is None or index.version != version:
            self._index.wake()
            return
        await self._cache.set({search_key(identity, index): reply})


def _content(reply: Reply) -> bytes | None:
    try:
        return without_time(reply.content) if reply.is_of("application/json") else None
    except ValueError:
        return None


async def _identity(parts: Sequence[Part], options: SearchOptions) -> str:
    pictures = [part.content for part in parts if isinstance(part.content, bytes)]
    digests = iter(await digests_of(pictures) if pictures else ())
    named = [
        (part.kind, part.content if isinstance(part.content, str) else next(digests), part.weight) for part in parts
    ]
    return query_identity(named, options)


def _single_spaced(request: SearchRequest) -> SearchRequest:
    """White space does not tell queries apart, neither here nor for a tokenizer."""
    if request.text is None:
        return request
    text = " ".join(request.text.split())
    return request.model_copy(update={"text": text}) if text != request.text else request
