"""Batches in the model, several at once."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")

READY = 1  # batches that wait for a thread


class Streams(Generic[Batch, Result]):
    """Runs batches on `number` threads, and hands on what comes out on the caller's own thread, in order.

    One more than `number` is out at most, so that a free thread finds the next; else `put` waits for the oldest.
    """

    def __init__(self, number: int, run: Callable[[Batch], Result], take: Callable[[Result], object]) -> None:
        self._most = number + READY
        self._run = run
        self._take = take
        self._pool = ThreadPoolExecutor(number, "encode")
        self._out: deque[Future[Result]] = deque()

    def put(self, batch: Batch) -> None:
        """Raises whatever `run` raised for an earlier batch, or `take` for what came of it."""
        while len(self._out) >= self._most:
            self._take(self._out.popleft().result())
        self._out.append(self._pool.submit(self._run, batch))

    def finish(self) -> None:
        """Takes what is still out; raises as `put` does."""
        while self._out:
            self._take(self._out.popleft().result())

    def close(self) -> None:
        """Drops what has not begun, and waits for what has."""
        self._pool.shutdown(cancel_futures=True)
