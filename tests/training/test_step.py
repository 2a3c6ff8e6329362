"""How the rate of a phase rises and falls."""

import pytest

from training.captioner import rise_and_fall


def test_without_a_rise_the_rate_falls_evenly_from_its_peak() -> None:
    """It begins at the peak, and each step takes the same away."""
    assert [rise_and_fall(step, 3, 0.0) for step in range(4)] == [1, 0.75, 0.5, 0.25]


def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    """The peak is reached where the rise ends; the last step is the smallest of the fall."""
    rates = [rise_and_fall(step, 20, 0.2) for step in range(21)]

    assert rates.index(max(rates)) == 4
    assert max(rates) == pytest.approx(1)
    assert rates[:5] == sorted(rates[:5])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.1
