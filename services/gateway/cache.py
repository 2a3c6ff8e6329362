"""Where answers are kept between requests, as bytes under text keys."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


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
