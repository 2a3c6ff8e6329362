"""Interleaved rounds, ratios and their spread."""

import pytest

from bench.row import Contest
from bench.runner import Rounds, interleave, interquartile, ratios
from bench.timing import milliseconds
from tests.bench.fakes import contest


def test_sides_are_interleaved_after_a_warm_up() -> None:
    """A B, then A B for each round; the warm-up does not count."""
    order: list[str] = []

    def turn(side: str, value: float) -> float:
        order.append(side)
        return value

    found = interleave(Contest(lambda: turn("ours", 1.0), lambda: turn("rival", 2.0)), 2)

    assert order == ["ours", "rival"] * 3
    assert found == Rounds((1.0, 1.0), (2.0, 2.0))


def test_the_warm_up_is_left_out() -> None:
    """Only the first value of each side is lost."""
    assert interleave(contest([100, 1, 2], [100, 3, 4]), 2) == Rounds((1, 2), (3, 4))


def test_each_round_is_told() -> None:
    """For the line of progress."""
    told: list[int] = []

    interleave(contest([1, 1, 1], [1, 1, 1]), 2, told.append)

    assert told == [1, 2]


@pytest.mark.parametrize(
    ("unit", "lower", "expected"), [("ms", False, (4.0,)), ("pictures/s", False, (0.25,)), ("ms", True, (0.25,))]
)
def test_ratios_say_how_many_times_better_ours_is(unit: str, lower: bool, expected: tuple[float, ...]) -> None:
    """Of times the rival's is above the line, of rates ours; where lower is better it is our time in the rival's."""
    assert ratios(Rounds((2.0,), (8.0,)), unit, lower) == expected


def test_the_spread_is_the_middle_half() -> None:
    """One wild round does not move it."""
    assert interquartile([1, 2, 3, 4, 1000]) == 2
    assert interquartile([7]) == 0


def test_a_call_is_timed_at_least_so_often() -> None:
    """Also where there is no time at all; one call more goes before."""
    calls: list[int] = []

    found = milliseconds(lambda: calls.append(1), 0, least=3)

    assert len(calls) == 4
    assert found >= 0
