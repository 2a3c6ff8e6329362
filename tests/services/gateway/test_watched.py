"""What a service reports about itself, polled."""

import asyncio

import pytest

from imagetext.wire.errors import Unavailable
from services.gateway.upstream import Deadline
from services.gateway.watched import Watched, repeat
from tests.patience import settle
from tests.timeless import timeless

pytestmark = timeless


class Oracle:
    """Answers with the number of the question, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    async def __call__(self, deadline: Deadline) -> int:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.asked


async def test_value_outlives_failures():
    """A failure sets the trouble and keeps the value; the next answer mends both."""
    oracle = Oracle()
    watched = Watched("index", oracle, every_s=1)
    assert (watched.value, watched.trouble) == (None, "The index service has not answered yet.")

    await watched.refresh()
    assert (watched.value, watched.trouble) == (1, None)
    oracle.failure = Unavailable("It is being loaded.")
    await watched.refresh()
    assert (watched.value, watched.trouble) == (1, "It is being loaded.")
    oracle.failure = None
    await watched.refresh()
    assert (watched.value, watched.trouble) == (3, None)


async def test_wake(until):
    """A wake shortens the pause, also one that comes while the question is asked."""
    oracle = Oracle()
    watched = Watched("index", oracle, every_s=3_600)
    task = asyncio.create_task(repeat(watched.refresh, watched.pause))
    for number in range(1, 4):
        await until(lambda number=number: oracle.asked == number)
        watched.wake()
    task.cancel()


async def test_wakes_do_not_flood():
    """However often it is woken, a service is asked a few times a second and no more."""
    oracle = Oracle()
    watched = Watched("index", oracle, every_s=3_600)
    task = asyncio.create_task(repeat(watched.refresh, watched.pause))
    for _ in range(50):
        await asyncio.sleep(0.005)
        watched.wake()
    task.cancel()

    assert oracle.asked < 30


async def test_a_bug_does_not_end_the_watch(until, caplog):
    """An error that nobody expected is logged, and the question is asked again."""
    oracle = Oracle()
    oracle.failure = RuntimeError("a bug")
    watched = Watched("index", oracle, every_s=0.01)
    task = asyncio.create_task(repeat(watched.refresh, watched.pause))
    await until(lambda: oracle.asked >= 2)
    oracle.failure = None
    await until(lambda: watched.value is not None)
    task.cancel()

    assert "background work failed" in caplog.text


async def test_cancelling_ends_the_watch():
    """Background work ends when it is cancelled."""
    task = asyncio.create_task(repeat(_step, _step))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _step() -> None:
    await asyncio.sleep(0)
