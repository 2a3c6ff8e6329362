"""The batcher in front of a model that can be held, broken and killed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from imagetext.models.batcher import Batcher
from imagetext.wire.errors import Busy, Unavailable
from tests.patience import PATIENCE, settle


class Doubler:
    """Doubles numbers. A batch with 13 in it fails, 666 ends the model, and `hold` keeps batches until `release`."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.threads: set[str] = set()
        self.prepared = 0
        self.held = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self.short = False

    def hold(self) -> None:
        self.released.clear()

    def release(self) -> None:
        self.released.set()

    def prepare(self) -> None:
        self.prepared += 1

    def __call__(self, key: str, items: list[int]) -> list[int]:
        self.batches.append((key, items))
        self.threads.add(threading.current_thread().name)
        self.held.set()
        assert self.released.wait(PATIENCE)
        if 13 in items:
            raise ValueError("thirteen")
        if 14 in items:
            raise StopIteration
        if 666 in items:
            raise SystemExit("the model has gone")
        return [2 * item for item in items][: -1 if self.short else None]


@pytest.fixture
def model() -> Doubler:
    return Doubler()


@asynccontextmanager
async def _running(model: Doubler, **settings) -> AsyncIterator[Batcher[str, int, int]]:
    batcher = Batcher[str, int, int](model, **{"max_batch": lambda key: 4, "queue_size": 10} | settings)
    batcher.start()
    try:
        yield batcher
    finally:
        model.release()
        await batcher.stop()


@asynccontextmanager
async def _held(model: Doubler, **settings) -> AsyncIterator[Batcher[str, int, int]]:
    """A batcher whose model is held at the item 0."""
    async with _running(model, **settings) as batcher:
        model.hold()
        first = asyncio.create_task(batcher.submit("a", 0))
        assert await asyncio.to_thread(model.held.wait, PATIENCE)
        yield batcher
        model.release()
        await asyncio.gather(first, return_exceptions=True)


async def _submit_all(batcher: Batcher[str, int, int], *items: int, key: str = "a") -> list[asyncio.Task[int]]:
    """Puts the items into the queue, in order, without waiting for their results."""
    tasks = [asyncio.create_task(batcher.submit(key, item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_idle_model_answers_at_once(model):
    """A lone item does not wait for company."""
    async with _running(model) as batcher:
        async with asyncio.timeout(PATIENCE):
            assert await batcher.submit("a", 4) == 8

    assert model.batches == [("a", [4])]


async def test_what_waits_shares_a_batch_in_order(model):
    """Items that arrive while the model is busy run together, oldest first, up to the batch size."""
    async with _held(model) as batcher:
        tasks = await _submit_all(batcher, 1, 2, 3, 4, 5)
        model.release()

        assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]

    assert model.batches == [("a", [0]), ("a", [1, 2, 3, 4]), ("a", [5])]


async def test_only_the_same_key_shares_a_batch(model):
    """The oldest item's key is served first; items of another key keep their order for later."""
    async with _held(model) as batcher:
        tasks = await _submit_all(batcher, 1)
        tasks += await _submit_all(batcher, 2, key="b")
        tasks += await _submit_all(batcher, 3)
        model.release()

        assert await asyncio.gather(*tasks) == [2, 4, 6]

    assert model.batches[1:] == [("a", [1, 3]), ("b", [2])]


async def test_each_key_has_its_own_size(model):
    """A key whose batches may be larger takes more of its items at once."""
    async with _held(model, max_batch=lambda key: {"a": 1, "b": 3}[key]) as batcher:
        tasks = await _submit_all(batcher, 1, 2)
        tasks += await _submit_all(batcher, 3, 4, 5, key="b")
        model.release()

        assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]

    assert model.batches[1:] == [("a", [1]), ("a", [2]), ("b", [3, 4, 5])]


async def test_failing_batch_is_run_again_item_by_item(model):
    """Only the item at fault fails, with its own error; the loop lives on."""
    async with _held(model) as batcher:
        tasks = await _submit_all(batcher, 1, 13, 3)
        model.release()
        good, bad, also_good = await asyncio.gather(*tasks, return_exceptions=True)

        assert (good, also_good) == (2, 6)
        assert isinstance(bad, ValueError)
        assert model.batches[1:] == [("a", [1, 13, 3]), ("a", [1]), ("a", [13]), ("a", [3])]
        assert batcher.alive
        assert await batcher.submit("a", 7) == 14


async def test_even_a_stop_iteration_reaches_its_caller(model):
    """StopIteration, which a future refuses to hold, is an error of the item like any other."""
    async with _running(model) as batcher:
        with pytest.raises(RuntimeError):
            await batcher.submit("a", 14)

        assert await batcher.submit("a", 7) == 14


async def test_missing_results_are_an_error(model):
    """A model that gives fewer results than items fails those items instead of mixing them up."""
    model.short = True
    async with _running(model) as batcher:
        with pytest.raises(RuntimeError, match="0 results for 1 items"):
            await batcher.submit("a", 1)


async def test_full_queue_is_busy(model):
    """Beyond `queue_size` waiting items a caller is turned away at once, and those who wait are served."""
    async with _held(model, queue_size=2) as batcher:
        tasks = await _submit_all(batcher, 1, 2)

        assert batcher.waiting == 2
        with pytest.raises(Busy):
            await batcher.submit("a", 3)

        model.release()
        assert await asyncio.gather(*tasks) == [2, 4]
        assert await batcher.submit("a", 3) == 6


async def test_dead_callers_work_is_dropped(model):
    """A caller that was cancelled leaves the queue, makes room in it, and its item never runs."""
    async with _held(model, queue_size=2) as batcher:
        gone, stays = await _submit_all(batcher, 1, 2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        (late,) = await _submit_all(batcher, 3)
        model.release()

        assert await asyncio.gather(stays, late) == [4, 6]

    assert model.batches[1:] == [("a", [2, 3])]


async def test_caller_that_leaves_while_its_batch_runs_harms_nobody(model):
    """The result of a caller that left during its batch is dropped."""
    async with _running(model) as batcher:
        model.hold()
        gone = asyncio.create_task(batcher.submit("a", 1))
        assert await asyncio.to_thread(model.held.wait, PATIENCE)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        model.release()

        assert await batcher.submit("a", 2) == 4


async def test_deadline_is_the_callers_timeout(model):
    """A caller's timeout takes its item out of the queue."""
    async with _held(model) as batcher:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await batcher.submit("a", 1)

        assert batcher.waiting == 0


async def test_dead_loop_is_not_alive(model):
    """When the model ends its thread, running and waiting callers get Unavailable and so do new ones."""
    async with _held(model) as batcher:
        running = await _submit_all(batcher, 666)
        waiting = await _submit_all(batcher, 1, key="b")
        model.release()
        outcomes = await asyncio.gather(*running, *waiting, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
        assert not batcher.alive
        with pytest.raises(Unavailable):
            await batcher.submit("a", 2)


async def test_thread_that_cannot_be_prepared_is_a_dead_loop(model):
    """An error while the model thread is set up makes the batcher dead, not silent."""

    def fail() -> None:
        raise OSError("no threads")

    async with _running(model, prepare_thread=fail) as batcher:
        with pytest.raises(Unavailable):
            await batcher.submit("a", 1)

        assert not batcher.alive


async def test_hanging_model_is_not_alive_until_it_comes_back(model):
    """A batch that takes longer than `stall_s` makes the batcher not alive for that while."""
    finished = asyncio.Event()
    async with _held(model, stall_s=0.02, observe=lambda size, seconds: finished.set()) as batcher:
        await asyncio.sleep(0.03)

        assert not batcher.alive
        with pytest.raises(Unavailable):
            await batcher.submit("a", 1)

        model.release()
        await asyncio.wait_for(finished.wait(), PATIENCE)
        assert batcher.alive
        assert await batcher.submit("a", 1) == 2


async def test_stop_ends_waiting_callers(model):
    """Callers that still wait, or whose batch runs, get Unavailable when the batcher stops."""
    async with _held(model) as batcher:
        tasks = await _submit_all(batcher, 1, 2)
        await batcher.stop()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
        assert not batcher.alive


async def test_not_alive_before_start(model):
    """A batcher that was never started turns callers away."""
    batcher = Batcher[str, int, int](model, max_batch=lambda key: 4, queue_size=10)

    assert not batcher.alive
    with pytest.raises(Unavailable):
        await batcher.submit("a", 1)


async def test_everything_runs_on_one_prepared_thread(model):
    """The model sees one thread for its whole life, prepared once."""
    async with _running(model, prepare_thread=model.prepare) as batcher:
        await asyncio.gather(*(batcher.submit(key, item) for key in "ab" for item in range(5)))

    assert (len(model.threads), model.prepared) == (1, 1)


async def test_batches_are_observed(model):
    """The observer is told the size and the seconds of each batch."""
    seen: list[tuple[int, float]] = []
    async with _held(model, observe=lambda size, seconds: seen.append((size, seconds))) as batcher:
        tasks = await _submit_all(batcher, 1, 2)
        model.release()
        await asyncio.gather(*tasks)

    assert [size for size, _ in seen] == [1, 2]
    assert all(seconds >= 0 for _, seconds in seen)


async def test_a_lone_item_is_run_at_once_on_the_event_loop(model: Doubler) -> None:
    """Where key and item allow it and the model is idle; what fails fails as ever."""
    async with _running(model, at_once=lambda key, item: key == "short" and item < 100) as batcher:
        assert await batcher.submit("short", 4) == 8
        assert model.threads == {threading.current_thread().name}
        with pytest.raises(ValueError, match="thirteen"):
            await batcher.submit("short", 13)

        assert await batcher.submit("short", 100) == 200
        assert len(model.threads) == 2


async def test_items_that_come_together_share_a_batch_all_the_same(model: Doubler) -> None:
    """Nobody is run alone while others come."""
    async with _running(model, at_once=lambda key, item: True) as batcher:
        assert await asyncio.gather(*(batcher.submit("short", item) for item in range(4))) == [0, 2, 4, 6]

        assert model.batches == [("short", [0, 1, 2, 3])]


async def test_nobody_is_run_at_once_while_the_model_works(model: Doubler) -> None:
    """It would run on two threads."""
    async with _held(model, at_once=lambda key, item: key == "short") as batcher:
        waiting = asyncio.create_task(batcher.submit("short", 4))
        await settle()
        assert batcher.waiting == 1

        model.release()
        assert await waiting == 8
        assert threading.current_thread().name not in model.threads


async def test_those_who_come_together_are_bounded_all_the_same(model: Doubler) -> None:
    """Of those who all found the queue empty no more get into it than may wait."""
    async with _running(model, at_once=lambda key, item: True, queue_size=2) as batcher:
        outcomes = await asyncio.gather(*(batcher.submit("short", item) for item in range(5)), return_exceptions=True)

    assert outcomes[:2] == [0, 2]
    assert all(isinstance(outcome, Busy) for outcome in outcomes[2:])


async def test_an_end_in_the_same_turn_is_told(model: Doubler) -> None:
    """Whoever looks whether it is alone while the batcher stops is not left waiting."""
    async with _running(model, at_once=lambda key, item: True) as batcher:
        asked = [asyncio.create_task(batcher.submit("short", item)) for item in range(2)]
        stopping = asyncio.create_task(batcher.stop())
        async with asyncio.timeout(PATIENCE):
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            await stopping

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
