"""Where answers are kept between requests, as bytes under text keys.

The cache in Redis, shared by all gateways. A dead or slow Redis costs some time and no answer.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from prometheus_client import Counter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError


class Cache(Protocol):
    """A cache may forget anything at any time, and it never raises."""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, in the order of the keys; None for what is not there."""

    async def set(self, values: Mapping[str, bytes]) -> None: ...

    async def close(self) -> None: ...


class MemoryCache:
    """Forgets what was used least recently, by number and by bytes, and what is older than its time to live."""

    def __init__(
        self, *, max_entries: int, max_bytes: int, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # the oldest use first
        self._bytes = 0

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    async def set(self, values: Mapping[str, bytes]) -> None:
        for key, value in values.items():
            self._drop(key)
            if _weight(key, value) > self._max_bytes:
                continue  # it would push out everything and then itself
            self._entries[key] = (self._clock() + self._ttl_s, value)
            self._bytes += _weight(key, value)
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _get(self, key: str) -> bytes | None:
        if key not in self._entries:
            return None
        expires, value = self._entries[key]
        if self._clock() >= expires:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def _drop(self, key: str) -> None:
        if key in self._entries:
            self._bytes -= _weight(key, self._entries.pop(key)[1])


def _weight(key: str, value: bytes) -> int:
    return len(key) + len(value)


_MAX_CONNECTIONS = 32
_FAILURES_IN_A_ROW = 3
_PAUSE_S = 5.0
_LOG_EVERY_S = 60.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class RedisCache:
    """After some failures in a row Redis is left alone for a while; then one call tries it again."""

    def __init__(self, url: str, *, ttl_s: int, timeout_s: float, errors: Counter, pause_s: float = _PAUSE_S) -> None:
        self._ttl_s = ttl_s
        self._errors = errors
        self._pause_s = pause_s
        self._timeout_s = timeout_s
        self._failures = 0
        self._paused_until = 0.0
        self._log_after = 0.0
        self._redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        )

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        found = await self._attempt(lambda: self._redis.mget(keys)) if keys else None
        return [value if isinstance(value, bytes) else None for value in found or [None] * len(keys)]

    async def set(self, values: Mapping[str, bytes]) -> None:
        if values:
            await self._attempt(lambda: self._write(values))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _write(self, values: Mapping[str, bytes]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                pipeline.set(key, value, ex=self._ttl_s)
            await pipeline.execute()

    async def _attempt(self, command: Callable[[], Awaitable[T]]) -> T | None:
        now = time.monotonic()
        if now < self._paused_until:
            return None
        if self._failures >= _FAILURES_IN_A_ROW:
            self._paused_until = now + self._pause_s  # others stay away while this call finds out
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await command()
        except (RedisError, OSError) as error:  # OSError: TimeoutError and what the resolver raises
            self._failed(error)
            return None
        if self._failures >= _FAILURES_IN_A_ROW:
            log.info("Redis answers again")
        self._failures, self._paused_until = 0, 0.0
        return result

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        self._errors.inc()
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            self._paused_until = now + self._pause_s
        if now >= self._log_after:
            self._log_after = now + _LOG_EVERY_S
            log.warning("Redis does not serve as a cache: %s", type(error).__name__)
