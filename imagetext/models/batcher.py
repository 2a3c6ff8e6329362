"""Groups concurrent requests to a model into batches, and runs them on one thread.

A batch starts as soon as the thread is free: an idle model answers the first caller at once, and a busy one finds a
batch waiting when it comes back. All state lives on the event loop, so there are no locks.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from imagetext.wire.errors import Busy, Unavailable

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Done(Generic[Result]):
    result: Result


@dataclass(frozen=True)
class _Failed:
    error: Exception


@dataclass(eq=False)
class _Call(Generic[Key, Item, Result]):
    key: Key
    item: Item
    outcome: "asyncio.Future[_Done[Result] | _Failed]"

    def settle(self, outcome: _Done[Result] | _Failed) -> None:
        if not self.outcome.done():  # already done if its caller has gone
            self.outcome.set_result(outcome)


class Batcher(Generic[Key, Item, Result]):
    """One bounded queue in front of one model thread.

    Items with the same key may share a batch. A batch that fails is run again item by item, so that only the items
    at fault fail. A caller that is cancelled (by `asyncio.timeout`, or because its client has gone) leaves the queue.
    """

    def __init__(
        self,
        run: Callable[[Key, list[Item]], Sequence[Result]],
        *,
        max_batch: Callable[[Key], int],
        queue_size: int,
        prepare_thread: Callable[[], object] = lambda: None,
        observe: Callable[[int, float], object] = lambda size, seconds: None,
        at_once: Callable[[Key, Item], bool] = lambda key, item: False,
        stall_s: float = 120.0,
    ) -> None:
        """
        Args:
            run: called on the model thread with a key and 1 to `max_batch(key)` items; returns one result for each.
            max_batch: most items in a batch of a key.
            queue_size: most items that wait.
            prepare_thread: called once on the model thread, before the first batch.
            observe: called after each batch with its size and seconds.
            at_once: whether an item that finds the model idle runs on the event loop: only for items that take little
                longer than a switch of threads. Items that arrive meanwhile would wait for the model anyway.
            stall_s: a batch that takes longer means that the model hangs.
        """
        self._run = run
        self._max_batch = max_batch
        self._queue_size = queue_size
        self._prepare_thread = prepare_thread
        self._observe = observe
        self._at_once = at_once
        self._stall_s = stall_s
        self._waiting: list[_Call[Key, Item, Result]] = []
        self._running: list[_Call[Key, Item, Result]] = []
        self._running_since: float | None = None
        self._coming = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait, without those of the running batch."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """False before start, after stop, when the loop died, and while a batch hangs."""
        return self._task is not None and not self._task.done() and not self._stalled()

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="batcher")

    async def stop(self) -> None:
        """Ends; whoever still waits gets Unavailable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def submit(self, key: Key, item: Item) -> Result:
        """The model's result for `item`.

        Raises:
            Busy: `queue_size` items wait already.
            Unavailable: not `alive`, or stopped before this item's turn.
            Exception: whatever `run` raised for this item alone.
        """
        self._admit()
        alone = self._at_once(key, item) and await self._comes_alone()
        outcome = self._run_alone(key, item) if alone else await self._queued(key, item)
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome.result

    def _admit(self) -> None:
        if not self.alive:
            raise Unavailable("The model does not answer.")
        if len(self._waiting) >= self._queue_size:
            raise Busy("Too many requests are waiting for the model.")

    async def _comes_alone(self) -> bool:
        """Whether the model is idle and no other item arrives in the same turn of the event loop."""
        self._coming += 1
        try:
            await asyncio.sleep(0)
            return self._coming == 1 and not self._waiting and not self._running
        finally:
            self._coming -= 1

    def _run_alone(self, key: Key, item: Item) -> _Done[Result] | _Failed:
        start = time.monotonic()
        [outcome] = self._outcomes(key, [item])
        self._observe(1, time.monotonic() - start)
        return outcome

    async def _queued(self, key: Key, item: Item) -> _Done[Result] | _Failed:
        self._admit()  # again: others may have arrived, or the service may have stopped, meanwhile
        call: _Call[Key, Item, Result] = _Call(key, item, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._arrived.set()
        try:
            return await call.outcome
        finally:
            if call in self._waiting:
                self._waiting.remove(call)

    async def _serve(self) -> None:
        thread = ThreadPoolExecutor(1, "model", self._prepare_thread)
        try:
            while True:
                await self._run_batch(thread, await self._next_batch())
        except Exception:
            log.critical("the batch loop ended", exc_info=True)
        except (SystemExit, KeyboardInterrupt):
            # Raised by the model, not by the process's own signals, which do not reach a task: the server
            # must live to say that it is not ready.
            log.critical("the model ended the batch loop", exc_info=True)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
            for call in (*self._running, *self._waiting):
                call.settle(_Failed(Unavailable("The service is stopping or its model failed.")))

    async def _next_batch(self) -> list[_Call[Key, Item, Result]]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._waiting[0].key
        batch = [call for call in self._waiting if call.key == key][: self._max_batch(key)]
        self._waiting = [call for call in self._waiting if call not in batch]
        return batch

    async def _run_batch(self, thread: ThreadPoolExecutor, batch: list[_Call[Key, Item, Result]]) -> None:
        self._running, self._running_since = batch, time.monotonic()
        items = [call.item for call in batch]
        outcomes = await asyncio.get_running_loop().run_in_executor(thread, self._outcomes, batch[0].key, items)
        self._observe(len(batch), time.monotonic() - self._running_since)
        self._running, self._running_since = [], None
        for call, outcome in zip(batch, outcomes, strict=True):
            call.settle(outcome)

    def _outcomes(self, key: Key, items: list[Item]) -> list[_Done[Result] | _Failed]:
        """On the model thread, or on the event loop for an item that is run at once."""
        try:
            results = self._run(key, items)
            if len(results) != len(items):
                raise RuntimeError(f"the model gave {len(results)} results for {len(items)} items")
        except Exception as error:
            if len(items) == 1:
                return [_Failed(error)]
            log.warning("a batch of %d failed and is run again one by one", len(items), exc_info=True)
            return [outcome for item in items for outcome in self._outcomes(key, [item])]
        return [_Done(result) for result in results]

    def _stalled(self) -> bool:
        since = self._running_since
        return since is not None and time.monotonic() - since > self._stall_s
