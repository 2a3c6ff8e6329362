"""Bootstrap intervals on cases whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.ranking import Rows, bootstrap


class Mean:
    """The mean of one number for each picture."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    def __call__(self, rows: Rows) -> dict[str, float]:
        return {"mean": float(self.values[rows].mean())}


COIN = np.arange(400) % 2.0


def test_what_never_differs_has_no_width() -> None:
    """Equal pictures give an interval of one point."""
    found = bootstrap(Mean(np.full(20, 0.25)), 20)["mean"]

    assert found.low == found.value == found.high == 0.25


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    """400 fair coins: 0.5, plus and minus 1.96 standard errors of 0.025."""
    found = bootstrap(Mean(COIN), 400)["mean"]

    assert len(found.samples) == 1000
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_the_seed_decides() -> None:
    """The same seed gives the same resamples, another one others."""
    first, again, other = (bootstrap(Mean(COIN), 400, seed=seed)["mean"].samples for seed in (3, 3, 4))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_small_steady_difference_is_sure() -> None:
    """Two models whose intervals overlap differ surely when one is better at every picture."""
    worse, better = bootstrap(Mean(COIN), 400)["mean"], bootstrap(Mean(COIN + 0.01), 400)["mean"]

    difference = better - worse

    assert better.low < worse.high
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.01, 0.01, 0.01))
