"""Answers kept between requests: under which keys, in memory, and one piece of work for identical requests.

Whatever could change an answer is part of its key, so nothing has to be deleted: a new model or index version is asked
for under other keys, and the old ones expire.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cachetools import TTLCache

from imagetext.wire.index import IndexInfo
from imagetext.wire.search import SearchOptions

# Hashing, parsing and the like of more bytes than this goes to a thread; less is done before a thread would start.
MAX_BYTES_ON_LOOP = 256 * 1024

_FORMAT = "imagetext:4"  # changes whenever the meaning of the stored bytes does
_QUERY_FIELDS = {"text", "like", "image", "parts"}

T = TypeVar("T")


class Cache(Protocol):
    """Bytes under text keys. A cache may forget anything at any time, and it never raises."""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, in the order of the keys; None for those that are not there."""

    async def set(self, values: Mapping[str, bytes]) -> None: ...

    async def close(self) -> None: ...


class MemoryCache:
    """Bounded in entries and bytes, keys included: drops the least recently used, and what outlived `ttl_s`."""

    def __init__(
        self, *, max_entries: int, max_bytes: int, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: TTLCache[str, tuple[str, bytes]] = TTLCache(max_bytes, ttl_s, timer=clock, getsizeof=_size)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return [entry and entry[1] for entry in map(self._entries.get, keys)]

    async def set(self, values: Mapping[str, bytes]) -> None:
        for entry in values.items():
            self._entries.pop(entry[0], None)
            if _size(entry) <= self._max_bytes:
                self._entries[entry[0]] = entry
        while len(self._entries) > self._max_entries:
            self._entries.popitem()

    async def close(self) -> None:
        self._entries.clear()


def _size(entry: tuple[str, bytes]) -> int:
    return sum(map(len, entry))


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def digests_of(pictures: Sequence[bytes]) -> list[str]:
    """The digest of each picture."""
    if sum(map(len, pictures)) <= MAX_BYTES_ON_LOOP:
        return [digest_of(picture) for picture in pictures]
    return await asyncio.to_thread(lambda: [digest_of(picture) for picture in pictures])


def answer_key(task: str, fingerprint: str, picture: str, options: str) -> str:
    """Of a model's answer about one picture; `picture` and `options` are digests."""
    return f"{_FORMAT}:{task}:{fingerprint}:{picture}:{options}"


def search_key(identity: str, index: IndexInfo) -> str:
    """Of the reply that `index` gives to the query with this identity."""
    return f"{_FORMAT}:search:{index.version}:{index.fingerprint}:{identity}"


def query_identity(parts: Sequence[tuple[str, str, float]], options: SearchOptions) -> str:
    """What is asked of any index: the same for the same parts in any order and in every form of request.

    `parts` are kind, content and weight; the content of a picture is the digest of its bytes.
    """
    largest = max(weight for _, _, weight in parts)  # which counts as 1
    scaled = sorted((kind, content, weight / largest) for kind, content, weight in parts)
    rest = options.model_dump_json(exclude=_QUERY_FIELDS, exclude_defaults=True)
    return f"query:{digest_of((json.dumps(scaled) + rest).encode())}"


@dataclass(eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    callers: int = 0


class SingleFlight(Generic[T]):
    """Does identical work that is asked for at the same time once (after Go's singleflight); keeps no results."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, or of the work under `key` that is under way; its error goes to every caller.

        A caller may be cancelled without harm to the others. When the last one leaves, the work is cancelled.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.callers -= 1
            if not flight.callers:
                self._forget(key, flight)  # now: who comes before the task has stopped must not join it
                flight.task.cancel()

    def _forget(self, key: str, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
