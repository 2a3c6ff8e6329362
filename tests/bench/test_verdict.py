"""Thresholds and the speed gate."""

from pathlib import Path

import pytest

from bench.report import Report, judge_quick, missed, regressions
from tests.bench.fakes import result


def test_a_missed_threshold_is_named() -> None:
    """With the ratio and the threshold; rows that meet theirs or were skipped are not."""
    results = [result("walk", 2.0), result("run", 3.0), result("swim", None, skipped="no water")]

    assert missed(results) == ["the walk: 2.00, threshold at least 3"]


def test_a_row_that_failed_has_missed_its_threshold() -> None:
    """An error counts as missed."""
    assert missed([result("walk", None, error="OSError: gone")]) == ["the walk: OSError: gone"]


def test_where_lower_is_better_the_threshold_is_an_upper_bound() -> None:
    """2.5 times the rival's time is too much where 2 is allowed, 1.5 is not."""
    results = [result("walk", ratio, threshold=2.0, lower_is_better=True) for ratio in (2.5, 1.5)]

    assert missed(results) == ["the walk: 2.50, threshold at most 2"]


def test_a_quarter_may_be_lost_and_no_more() -> None:
    """Of 8: 6 passes, 5.9 fails."""
    kept = {"walk": result(ratio=8.0)}

    assert regressions([result(ratio=6.0)], kept) == []
    assert regressions([result(ratio=5.9)], kept) == ["the walk: 26 % worse than kept (ratio 5.90, kept 8.00)"]


def test_where_lower_is_better_a_regression_goes_up() -> None:
    """1.5 was kept: 1.9 passes, 2.1 fails; 1.0 is a gain."""
    kept = {"walk": result(ratio=1.5, lower_is_better=True)}
    found = [bool(regressions([result(ratio=ratio, lower_is_better=True)], kept)) for ratio in (1.0, 1.9, 2.1)]

    assert found == [False, False, True]


def test_the_gate_fails_where_nothing_was_measured() -> None:
    """An error is no speed; what was never kept, or is skipped, cannot have fallen."""
    results = [result("walk", None, error="OSError: gone"), result("run", 1.0), result("swim", None, skipped="dry")]

    assert regressions(results, {}) == ["the walk: OSError: gone"]


def test_the_gate_compares_with_the_kept_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missed threshold passes, a loss of more than 25 % does not."""
    kept, machine = tmp_path / "avx2.json", {"cpu": "a", "instruction_set": "avx2"}
    kept.write_text(Report({"cpu": "b"}, [result(ratio=2.0)]).to_json(complete=True))

    assert judge_quick([result(ratio=1.6)], machine, kept) == 0
    assert judge_quick([result(ratio=1.4)], machine, kept) == 1

    said = capsys.readouterr().err
    assert "SLOWER THAN KEPT: the walk: 30 % worse" in said
    assert "was measured on b" in said


def test_the_gate_says_that_nothing_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the instruction set, and still fails where a row failed."""
    machine, kept = {"cpu": "a", "instruction_set": "amx"}, tmp_path / "amx.json"

    assert judge_quick([result(ratio=0.1)], machine, kept) == 0
    assert judge_quick([result(ratio=None, error="OSError: gone")], machine, kept) == 1

    assert f"There is no kept run for amx ({kept})" in capsys.readouterr().err
