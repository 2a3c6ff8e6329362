"""Rows become results; what fails stops nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.row import Contest, Floor, Missing, Setting
from bench.runner import measure, measured
from tests.bench.fakes import contest, row


def quietly(text: str) -> None:
    pass


def test_a_row_becomes_a_result() -> None:
    """Medians of both sides, the median of the rounds' ratios, and the distance from the floor."""
    found = measured(row(), Setting(), quietly)

    assert (found.ours, found.rival_value, found.ratio) == (2, 8, 3)
    assert found.ratios == (4, 3, 2)
    assert found.spread == 1
    assert (found.floor, found.floor_is, found.from_floor) == (1, "a straight line", 2)
    assert found.met


def test_of_rates_the_floor_is_above() -> None:
    """Twice as many would be possible: twice as far."""

    @contextmanager
    def rates(setting: Setting) -> Iterator[Contest]:
        yield contest([1, 10, 10, 10], [1, 5, 5, 5], floor=lambda: Floor(20, "the model alone"))

    assert measured(row(unit="pictures/s", prepare=rates), Setting(), quietly).from_floor == 2


def test_what_fails_stops_nothing_else() -> None:
    """A row that raises is reported with its error, and the next one is measured."""

    @contextmanager
    def broken(setting: Setting) -> Iterator[Contest]:
        raise OSError("no such thing")
        yield

    results = list(measure([row("fall", prepare=broken), row()], Setting(), quietly))

    assert [one.ratio for one in results] == [None, 3]
    assert results[0].error == "OSError: no such thing"


def test_what_is_missing_is_skipped() -> None:
    """That is no failure."""

    @contextmanager
    def absent(setting: Setting) -> Iterator[Contest]:
        raise Missing("it is not there")
        yield

    found = measured(row(prepare=absent), Setting(), quietly)

    assert (found.skipped, found.error) == ("it is not there", None)


def test_sides_that_did_different_work_are_no_contest() -> None:
    """Speed on another answer is none."""

    @contextmanager
    def different(setting: Setting) -> Iterator[Contest]:
        yield contest([1] * 4, [1] * 4, same=0.5)

    assert "agree only to 0.5" in (measured(row(prepare=different), Setting(), quietly).error or "")
