"""The table of thresholds."""

import pytest

from bench.catalogue import AT_MOST, COLUMNS, THRESHOLDS, catalogue, limits
from bench.machine import INSTRUCTION_SETS


def test_each_row_has_its_thresholds() -> None:
    """The table and the catalogue name the same rows in the same order."""
    rows = catalogue("avx2")

    assert [row.name for row in rows] == list(THRESHOLDS)
    assert [row.name for row in rows if row.lower_is_better] == list(AT_MOST)


def test_each_instruction_set_has_a_column() -> None:
    """Each has one of the two."""
    assert COLUMNS.keys() == INSTRUCTION_SETS.keys()


@pytest.mark.parametrize(
    ("instruction_set", "like"),
    [("other", "avx2"), ("avx2-vnni", "avx2"), ("avx512", "avx2"), ("amx", "avx512-vnni")],
)
def test_instruction_sets_share_columns(instruction_set: str, like: str) -> None:
    """Those without a column of their own are judged by the other's."""
    assert all(limits(row, instruction_set) == limits(row, like) for row in THRESHOLDS)


def test_rows_take_the_thresholds_of_their_instruction_set() -> None:
    """The same row, judged in two ways."""
    text = {name: {row.name: row for row in catalogue(name)}["text-minilm"] for name in ("avx2", "avx512-vnni")}

    assert (text["avx2"].threshold, text["avx2"].target) == (3, None)
    assert (text["avx512-vnni"].threshold, text["avx512-vnni"].target) == (5, 8)


def test_targets_lie_beyond_thresholds() -> None:
    """A target is harder to reach."""
    for row, columns in THRESHOLDS.items():
        for threshold, target in columns:
            assert target is None or (target < threshold if row in AT_MOST else target > threshold)
