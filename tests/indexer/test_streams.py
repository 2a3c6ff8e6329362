"""Several batches in the model at once."""

import threading
import time

import pytest

from indexer.reading import Streams
from tests.patience import PATIENCE


def test_results_come_in_order_on_the_callers_thread() -> None:
    """However long each batch takes."""
    found, threads = [], set()

    def run(number: int) -> int:
        time.sleep(0.01 * (number % 2))
        return 10 * number

    def take(result: int) -> None:
        found.append(result)
        threads.add(threading.current_thread())

    streams = Streams(2, run, take)
    for number in range(1, 8):
        streams.put(number)
    streams.finish()
    streams.close()

    assert found == [10 * number for number in range(1, 8)]
    assert threads == {threading.current_thread()}


def test_so_many_batches_run_side_by_side() -> None:
    """Two threads meet, a third batch is at hand; a fourth one waits for the first."""
    meeting = threading.Barrier(2, timeout=PATIENCE)
    taken: list[int] = []

    def run(number: int) -> int:
        if number < 2:
            meeting.wait()
        return number

    streams = Streams(2, run, taken.append)
    streams.put(0)
    streams.put(1)
    streams.put(2)
    assert taken == []
    streams.put(3)

    assert taken == [0]
    streams.finish()
    streams.close()
    assert taken == [0, 1, 2, 3]


def test_what_a_batch_raises_reaches_the_caller() -> None:
    """With the next batch, or at the end; what has not begun is dropped."""

    def run(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    taken: list[int] = []
    streams = Streams(1, run, taken.append)
    streams.put(0)
    streams.put(1)
    streams.put(2)
    with pytest.raises(ValueError, match="one"):
        streams.put(3)
    streams.close()

    assert taken == [0]
