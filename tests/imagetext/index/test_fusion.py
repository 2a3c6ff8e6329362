"""Reciprocal rank fusion, against sums by hand."""

import numpy as np

from imagetext.index.row_search import K, fuse


def rows(*numbers):
    return np.array(numbers, dtype=np.int64)


def test_rows_of_both_rankings_come_first():
    """1/62 + 1/61 is more than 1/61."""
    assert fuse([rows(7, 3), rows(3, 9)]).tolist() == [3, 7, 9]


def test_equal_sums_are_ordered_by_row():
    """So that pages continue one another."""
    assert fuse([rows(8, 2), rows(2, 8)]).tolist() == [2, 8]
    assert fuse([rows(9), rows(4)]).tolist() == [4, 9]


def test_an_empty_ranking_changes_nothing():
    """Where no caption has the words, the order is that of the vectors."""
    assert fuse([rows(5, 1, 3), rows()]).tolist() == [5, 1, 3]
    assert fuse([rows(), rows()]).tolist() == []


def test_sums_are_those_of_the_paper():
    """Against the definition, for two long rankings."""
    random = np.random.default_rng(1)
    rankings = [random.permutation(200)[:120].astype(np.int64) for _ in range(2)]
    sums = {row: sum(1 / (K + 1 + list(r).index(row)) for r in rankings if row in r) for row in range(200)}
    wanted = sorted((row for row in sums if sums[row]), key=lambda row: (-round(sums[row], 15), row))

    assert fuse(rankings).tolist() == wanted
