"""Identical work is done once."""

import asyncio

import pytest

from services.gateway.cache import SingleFlight
from tests.timeless import timeless

pytestmark = timeless


class Work:
    """Counts how often it began and how often it was stopped; ends when it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.begun = 0
        self.stopped = 0
        self.end = asyncio.Event()
        self.failure = failure

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            await asyncio.sleep(0)  # stopping takes a moment
            raise
        if self.failure is not None:
            raise self.failure
        return number


@pytest.fixture
def flights() -> SingleFlight[int]:
    return SingleFlight()


async def started(flights: SingleFlight[int], work: Work, number: int, key: str = "a") -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(flights.run(key, work)) for _ in range(number)]
    await asyncio.sleep(0.01)
    return tasks


async def test_many_callers_one_result(flights):
    """All who ask while the work goes on get its result."""
    work = Work()
    callers = await started(flights, work, 20)
    work.end.set()

    assert await asyncio.gather(*callers) == [1] * 20


async def test_other_keys_are_other_work(flights):
    """Work under another key is done beside it."""
    work = Work()
    callers = await started(flights, work, 1, "a") + await started(flights, work, 1, "b")
    work.end.set()

    assert await asyncio.gather(*callers) == [1, 2]


async def test_nothing_is_kept(flights):
    """After the end the next caller starts anew."""
    work = Work()
    work.end.set()

    assert [await flights.run("a", work) for _ in range(3)] == [1, 2, 3]


async def test_errors_reach_every_caller_and_are_not_kept(flights):
    """An error goes to all who wait; the next caller starts anew."""
    work = Work(failure=ValueError("no"))
    callers = await started(flights, work, 3)
    work.end.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    work.failure = None

    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert await flights.run("a", work) == 2


@pytest.mark.parametrize("leaving", [0, 1, 2])
async def test_one_caller_leaves(flights, leaving):
    """Whoever leaves, the first included, the others get their result."""
    work = Work()
    callers = await started(flights, work, 3)
    callers[leaving].cancel()
    await asyncio.sleep(0.01)
    work.end.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)

    assert [outcome for place, outcome in enumerate(outcomes) if place != leaving] == [1, 1]
    assert work.stopped == 0


async def test_the_last_caller_leaves(flights):
    """When nobody waits any more, the work is stopped."""
    work = Work()
    for caller in await started(flights, work, 3):
        caller.cancel()
    await asyncio.sleep(0.01)

    assert (work.begun, work.stopped) == (1, 1)


async def test_nobody_joins_what_is_being_stopped(flights):
    """A caller who comes just when the last one has left starts anew and is not cancelled with them."""
    work = Work()
    [first] = await started(flights, work, 1)
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(flights.run("a", work))
    await asyncio.sleep(0.01)
    work.end.set()

    assert await second == 2
