"""Musts and the speed gate."""

from bench.verdict import missed, regressions
from tests.bench.fakes import result


def test_a_must_that_is_missed_is_named() -> None:
    """With what was found and what must be; what is met or skipped is not."""
    results = [result("walk", 2.0), result("run", 3.0), result("swim", None, skipped="no water")]

    assert missed(results) == ["the walk: 2.00, must be at least 3"]


def test_what_failed_has_not_shown_that_it_does_what_it_must() -> None:
    """An error counts as missed."""
    assert missed([result("walk", None, error="OSError: gone")]) == ["the walk: OSError: gone"]


def test_where_lower_is_better_the_must_is_a_ceiling() -> None:
    """2.5 times the rival's time is too much where 2 is allowed, 1.5 is not."""
    results = [result("walk", ratio, must=2.0, lower_is_better=True) for ratio in (2.5, 1.5)]

    assert missed(results) == ["the walk: 2.50, must be at most 2"]


def test_a_quarter_may_be_lost_and_no_more() -> None:
    """Of 8: 6 passes, 5.9 fails."""
    kept = {"walk": result(ratio=8.0)}

    assert regressions([result(ratio=6.0)], kept) == []
    assert regressions([result(ratio=5.9)], kept) == ["the walk: 26 % worse than kept (a ratio of 5.90, kept is 8.00)"]


def test_where_lower_is_better_a_regression_goes_up() -> None:
    """1.5 was kept: 1.9 passes, 2.1 fails; 1.0 is a gain."""
    kept = {"walk": result(ratio=1.5, lower_is_better=True)}
    found = [bool(regressions([result(ratio=ratio, lower_is_better=True)], kept)) for ratio in (1.0, 1.9, 2.1)]

    assert found == [False, False, True]


def test_the_gate_fails_where_nothing_was_measured() -> None:
    """An error is no speed; what was never kept, or is skipped, cannot have fallen."""
    results = [result("walk", None, error="OSError: gone"), result("run", 1.0), result("swim", None, skipped="dry")]

    assert regressions(results, {}) == ["the walk: OSError: gone"]
