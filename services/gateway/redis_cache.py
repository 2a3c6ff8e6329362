"""The cache in Redis, shared by all gateways. A dead or slow Redis costs a little time and never an answer.

A module of its own, because a gateway without Redis saves the 6 MB that Redis's client takes.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from prometheus_client import Counter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_MAX_CONNECTIONS = 32
_MAX_FAILURES = 3  # in a row
_PAUSE_S = 5.0
_LOG_EVERY_S = 60.0
_CHECKSUM_BYTES = 4

T = TypeVar("T")
log = logging.getLogger(__name__)


class RedisCache:
    """After some failures in a row Redis is left alone for a while; then one call tries it again.

    Every value has a checksum in front: cached answers are handed out unread, and bytes that somebody else put under
    our keys lack it.
    """

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
        return [verified(value) if isinstance(value, bytes) else None for value in found or [None] * len(keys)]

    async def set(self, values: Mapping[str, bytes]) -> None:
        if values:
            await self._attempt(lambda: self._write(values))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _write(self, values: Mapping[str, bytes]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                pipeline.set(key, with_checksum(value), ex=self._ttl_s)
            await pipeline.execute()

    async def _attempt(self, command: Callable[[], Awaitable[T]]) -> T | None:
        now = time.monotonic()
        if now < self._paused_until:
            return None
        if self._failures >= _MAX_FAILURES:
            self._paused_until = now + self._pause_s  # others stay away while this call finds out
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await command()
        except (RedisError, OSError) as error:  # OSError: TimeoutError, and what the resolver raises
            self._failed(error)
            return None
        if self._failures >= _MAX_FAILURES:
            log.info("Redis answers again")
        self._failures, self._paused_until = 0, 0.0
        return result

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        self._errors.inc()
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            self._paused_until = now + self._pause_s
        if now >= self._log_after:
            self._log_after = now + _LOG_EVERY_S
            log.warning("Redis cannot be used as a cache: %s", type(error).__name__)


def with_checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") + content


def verified(value: bytes) -> bytes | None:
    """The content behind a checksum that fits it; None for anything else, and for no content."""
    checksum, content = value[:_CHECKSUM_BYTES], value[_CHECKSUM_BYTES:]
    return content if content and checksum == zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") else None
