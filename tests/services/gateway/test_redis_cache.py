"""The cache in Redis: with a real server, with one that dies, with one that never answers."""

import asyncio
import time

import pytest
from prometheus_client import Counter
from redis.asyncio import Redis

from services.gateway.redis_cache import RedisCache, verified, with_checksum
from tests.patience import PATIENCE


@pytest.fixture
def errors(registry) -> Counter:
    return Counter("errors", "Errors", registry=registry)


def count(errors: Counter) -> float:
    return next(
        sample.value for metric in errors.collect() for sample in metric.samples if sample.name.endswith("total")
    )


async def test_values_come_in_the_order_of_the_keys(redis_process, errors):
    """Bytes go in and come out as they are; what is not there, or empty, is None."""
    cache = RedisCache(redis_process.url, ttl_s=3_600, timeout_s=PATIENCE, errors=errors)
    await cache.set({"a": bytes(range(256)), "b": b""})

    assert await cache.get(["a", "b", "x"]) == [bytes(range(256)), None, None]
    assert await cache.get([]) == []
    assert count(errors) == 0
    await cache.close()


async def test_values_expire(redis_process, errors):
    """Every value has its time to live in Redis."""
    cache = RedisCache(redis_process.url, ttl_s=3_600, timeout_s=PATIENCE, errors=errors)
    await cache.set({"a": b"1"})
    async with Redis.from_url(redis_process.url) as redis:
        assert 3_600 - PATIENCE < await redis.ttl("a") <= 3_600
    await cache.close()


async def test_gateways_share_it(redis_process, errors):
    """What one gateway stores, another finds."""
    one, other = (RedisCache(redis_process.url, ttl_s=3_600, timeout_s=PATIENCE, errors=errors) for _ in range(2))
    await one.set({"a": b"1"})

    assert await other.get(["a"]) == [b"1"]
    await one.close()
    await other.close()


async def test_redis_dies_and_comes_back(redis_process, errors, until):
    """A dead Redis finds nothing and raises nothing; when it is back, it is used again after a pause, without more."""
    pause_s = 0.5
    cache = RedisCache(redis_process.url, ttl_s=3_600, timeout_s=PATIENCE, errors=errors, pause_s=pause_s)
    await cache.set({"a": b"1"})
    redis_process.kill()
    began = time.monotonic()
    for _ in range(10):
        assert await cache.get(["a"]) == [None]
        await cache.set({"a": b"2"})
    assert 3 <= count(errors) <= 3 + (time.monotonic() - began) / pause_s

    redis_process.start()

    async def works() -> bool:
        await cache.set({"a": b"3"})
        return await cache.get(["a"]) == [b"3"]

    await until(works)
    assert [await cache.get(["a"]) for _ in range(20)] == [[b"3"]] * 20
    await cache.close()


async def test_a_silent_redis_costs_little(silent_server, errors):
    """A Redis that takes connections and never answers costs a tenth of a second, three times, and then nothing."""
    cache = RedisCache(f"redis://127.0.0.1:{silent_server}/0", ttl_s=60, timeout_s=0.1, errors=errors, pause_s=3_600)
    found = [await cache.get(["a"]) for _ in range(500)]

    assert found == [[None]] * 500
    assert count(errors) == 3
    await cache.close()


async def test_only_one_call_tries_again(silent_server, errors):
    """After the pause a single call finds out whether Redis answers; those beside it do not wait."""
    cache = RedisCache(f"redis://127.0.0.1:{silent_server}/0", ttl_s=60, timeout_s=0.1, errors=errors, pause_s=1)
    for _ in range(3):
        await cache.get(["a"])
    await asyncio.sleep(1.1)
    await asyncio.gather(*(cache.get(["a"]) for _ in range(20)))

    assert count(errors) == 4
    await cache.close()


async def test_a_name_that_nobody_has(errors):
    """A Redis whose name is not known is a Redis that does not answer."""
    cache = RedisCache("redis://redis.invalid:6379/0", ttl_s=60, timeout_s=0.1, errors=errors)

    assert await cache.get(["a"]) == [None]
    await cache.close()


async def test_many_at_once(redis_process, errors):
    """More lookups at once than there are connections are answered all the same."""
    cache = RedisCache(redis_process.url, ttl_s=3_600, timeout_s=PATIENCE, errors=errors)
    await cache.set({"a": b"1"})

    assert await asyncio.gather(*(cache.get(["a"]) for _ in range(200))) == [[b"1"]] * 200
    assert count(errors) == 0
    await cache.close()


async def test_gateway_with_redis(door, redis_process, ready_client):
    """Answers are found in Redis by the next gateway; when Redis dies, answers are computed again."""
    door.settings |= {"redis_url": redis_process.url, "redis_timeout_s": PATIENCE}
    seen = []
    for _ in range(2):
        async with ready_client(door) as client:
            for _ in range(2):
                seen.append((await client.post("/v1/search", json={"text": "dog"})).headers["X-Cache"])
    assert seen == ["miss", "hit", "hit", "hit"]

    async with ready_client(door) as client:
        redis_process.kill()
        replies = [await client.post("/v1/search", json={"text": "dog"}) for _ in range(20)]

    assert {(reply.status_code, reply.headers["X-Cache"]) for reply in replies} == {(200, "miss")}


async def test_gateway_with_a_silent_redis(door, silent_server, ready_client):
    """A Redis that never answers slows a few requests down and fails none."""
    door.settings["redis_url"] = f"redis://127.0.0.1:{silent_server}/0"
    async with ready_client(door) as client:
        replies = [await client.post("/v1/captions", files={"image": ("a", b"dog")}) for _ in range(20)]

    assert {(reply.status_code, reply.headers["X-Cache"]) for reply in replies} == {(200, "miss")}


async def test_rubbish_in_redis(door, redis_process, ready_client):
    """Bytes that somebody else put under our keys are a miss and not an error."""
    door.settings |= {"redis_url": redis_process.url, "redis_timeout_s": PATIENCE}
    async with ready_client(door) as client, Redis.from_url(redis_process.url) as redis:
        for rubbish in (b"\xff\xfe", b"", b"{}", b'{"index": 7}'):
            await client.post("/v1/search", json={"text": "dog"})
            await client.post("/v1/captions", files={"image": ("a", b"dog")})
            keys = await redis.keys("imagetext:*")
            for key in keys:
                await redis.set(key, rubbish)
            replies = [
                await client.post("/v1/search", json={"text": "dog"}),
                await client.post("/v1/captions", files={"image": ("a", b"dog")}),
            ]

            assert len(keys) == 2
            assert [(reply.status_code, reply.headers["X-Cache"]) for reply in replies] == [(200, "miss")] * 2


@pytest.mark.parametrize("content", [b"x", b"{}", bytes(range(256)) * 100])
def test_checksums(content):
    """Any bytes but none come back as they were."""
    assert verified(with_checksum(content)) == content


@pytest.mark.parametrize("value", [b"", b"abc", b"{}", b'{"index": 7}', b"\0\0\0\0", with_checksum(b"")])
def test_bytes_without_a_checksum_are_a_miss(value):
    """Too little, and bytes that we did not write, are a miss."""
    assert verified(value) is None


def test_damage_is_noticed():
    """A changed, lost or added byte is a miss."""
    value = with_checksum(b'{"index": {"version": "v1"}}')

    assert verified(value[:-1]) is None
    assert verified(value + b" ") is None
    assert verified(value.replace(b"v1", b"v2")) is None
