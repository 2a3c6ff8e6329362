"""The cache in memory."""

from services.gateway.cache import MemoryCache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def cache_of(*, entries: int = 100, size: int = 10_000, clock: Clock | None = None) -> MemoryCache:
    return MemoryCache(max_entries=entries, max_bytes=size, ttl_s=10, clock=clock or Clock())


async def test_values_come_in_the_order_of_the_keys():
    """Several values are looked up at once; what is not there is None."""
    cache = cache_of()
    await cache.set({"a": b"1", "b": b"2"})

    assert await cache.get(["b", "x", "a"]) == [b"2", None, b"1"]


async def test_least_recently_used_goes_first():
    """Over the number of entries, what was not used for the longest time is forgotten."""
    cache = cache_of(entries=2)
    await cache.set({"a": b"1", "b": b"2"})
    await cache.get(["a"])
    await cache.set({"c": b"3"})

    assert await cache.get(["a", "b", "c"]) == [b"1", None, b"3"]


async def test_bytes_are_bounded():
    """Over the number of bytes, as many old values go as need be; a value set anew counts once."""
    cache = cache_of(size=100)
    for _ in range(5):
        await cache.set({"a": b"x" * 40})
    await cache.set({"b": b"x" * 40})
    assert await cache.get(["a", "b"]) == [b"x" * 40] * 2

    await cache.set({"c": b"x" * 90})
    assert await cache.get(["a", "b", "c"]) == [None, None, b"x" * 90]


async def test_a_value_larger_than_the_cache_pushes_nothing_out():
    """A value that cannot fit is not kept, and what it would have replaced is gone."""
    cache = cache_of(size=100)
    await cache.set({"a": b"1", "b": b"2"})
    await cache.set({"b": b"x" * 1_000})

    assert await cache.get(["a", "b"]) == [b"1", None]


async def test_values_expire():
    """A value is there until its time is over, and not longer; reading does not prolong it."""
    clock = Clock()
    cache = cache_of(clock=clock)
    await cache.set({"a": b"1"})

    clock.now = 9.9
    assert await cache.get(["a"]) == [b"1"]
    clock.now = 10
    assert await cache.get(["a"]) == [None]
