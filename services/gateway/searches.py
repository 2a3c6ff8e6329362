"""Searches, looked up in the cache under the index version that answers them now."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import Counter
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from imagetext.contracts import IndexInfo, SearchReply, SearchRequest
from imagetext.errors import InvalidParameter
from services.gateway.answer import Answer
from services.gateway.cache import Cache
from services.gateway.deadline import Deadline
from services.gateway.image_search_requests import HitsPage
from services.gateway.keys import digest_of, picture_identity, search_key, words_identity
from services.gateway.single_flight import SingleFlight
from services.gateway.upstream import Upstream
from services.gateway.watched import Watched

Ask = Callable[[], Coroutine[Any, Any, SearchReply]]


class Searches:
    """Each method may raise any ImageTextError that the retrieval service answers with."""

    def __init__(self, upstream: Upstream, index: Watched[IndexInfo], cache: Cache, lookups: Counter) -> None:
        self._upstream = upstream
        self._index = index
        self._cache = cache
        self._lookups = lookups
        self._flights: SingleFlight[Answer[SearchReply]] = SingleFlight()

    async def by_request(self, request: SearchRequest, deadline: Deadline) -> Answer[SearchReply]:
        request = _normalised(request)

        async def ask() -> SearchReply:
            body = request.model_dump(exclude_none=True)
            return await self._upstream.ask(SearchReply, "POST", "/v1/search", deadline=deadline, json=body)

        return await self._answer(words_identity(request), ask)

    async def by_picture(self, picture: bytes, page: HitsPage, deadline: Deadline) -> Answer[SearchReply]:
        async def ask() -> SearchReply:
            files = {"image": ("picture", picture, "application/octet-stream")}
            return await self._upstream.ask(
                SearchReply, "POST", "/v1/search/image", deadline=deadline, files=files, data=page.model_dump()
            )

        digest = await run_in_threadpool(digest_of, picture)
        return await self._answer(picture_identity(digest, page.k, page.offset), ask)

    async def _answer(self, identity: str, ask: Ask) -> Answer[SearchReply]:
        start = time.perf_counter()
        index = self._index.value
        flight = search_key(identity, index) if index else identity
        answer = await self._flights.run(flight, lambda: self._find(identity, index, ask))
        took_ms = round((time.perf_counter() - start) * 1000, 1)
        return Answer(answer.reply.model_copy(update={"took_ms": took_ms}), answer.source)

    async def _find(self, identity: str, index: IndexInfo | None, ask: Ask) -> Answer[SearchReply]:
        stored = await self._look_up(identity, index) if index else None
        if stored:
            return Answer(stored, "hit")
        reply = await ask()
        await self._store(identity, reply)
        return Answer(reply, "miss")

    async def _look_up(self, identity: str, index: IndexInfo) -> SearchReply | None:
        [value] = await self._cache.get([search_key(identity, index)])
        stored = _parsed(value)
        self._lookups.labels("search", "hit" if stored else "miss").inc()
        return stored

    async def _store(self, identity: str, reply: SearchReply) -> None:
        """Keeps the reply if its index is the one that is known; if not, the one that it names is asked about."""
        index = self._index.value
        if index is None or index.version != reply.index.version:
            self._index.wake()
            return
        await self._cache.set({search_key(identity, index): reply.model_dump_json().encode()})


def _normalised(request: SearchRequest) -> SearchRequest:
    """White space does not tell queries apart, neither here nor for a tokenizer."""
    if (request.text is None) == (request.like is None):
        raise InvalidParameter("Send either `text` or `like`.")
    if request.text is None:
        return request
    text = " ".join(request.text.split())
    if not text:
        raise InvalidParameter("Field `text`: there are no words in it.")
    return request.model_copy(update={"text": text})


def _parsed(value: bytes | None) -> SearchReply | None:
    """What was stored; None also for bytes that somebody else put there."""
    try:
        return SearchReply.model_validate_json(value) if value else None
    except ValidationError:
        return None
