"""The size of batches follows what was measured."""

import time
from dataclasses import dataclass

import numpy as np
import pytest

from imagetext.engines import Array, best_size, joined
from imagetext.engines.trial import SIZES, seconds_by_size


@dataclass(frozen=True)
class Given:
    """Of a network the inputs of the usual case."""

    inputs: list[Array]


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({}, None),
        ({1: 1.0}, None),
        ({1: 1.0, 4: 1.0, 8: 1.0}, 8),
        ({1: 1.0, 4: 4.0, 8: 8.0}, 1),
        ({1: 1.0, 4: 2.0, 8: 3.9, 16: 9.0}, 4),
        ({1: 0.001, 4: 0.004, 8: 0.008}, 4),
    ],
)
def test_the_smallest_batch_with_nearly_the_best_rate(seconds: dict[int, float], best: int | None) -> None:
    """What a larger batch gains must be worth the wait; it shares what a batch costs around a quick network."""
    assert best_size(seconds) == best


def test_calls_of_two_networks_are_added() -> None:
    """A picture is seen once and a sentence said in steps; sizes that only one was measured with do not count."""
    assert joined({1: 4.0, 4: 10.0, 8: 30.0}, {1: 1.0, 4: 2.0}, 3) == {1: 7.0, 4: 16.0}


def test_a_slow_network_is_not_measured_with_large_batches() -> None:
    """Whoever starts a large model for the first time does not wait for batches of 32."""
    sizes = []

    def run(rows: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(rows))
        time.sleep(0.03 * len(rows))
        return [rows]

    assert list(seconds_by_size(run, Given([np.ones((1, 2))]), 0.03)) == [1, 4]
    assert set(sizes) == {4}


def test_every_size_is_measured_where_it_is_quick() -> None:
    """The example is laid beside itself."""
    network = Given([np.ones((3, 2)), np.ones((1, 2))])
    seen = set()

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        seen.add(tuple(len(each) for each in inputs))
        return list(inputs)

    assert list(seconds_by_size(run, network, 0.001)) == [1, *SIZES]
    assert seen == {(3 * size, size) for size in SIZES}
