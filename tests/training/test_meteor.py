"""METEOR's formula on counts small enough to work out by hand; the jar itself in test_score.py."""

from pathlib import Path

import numpy as np
import pytest

from training.scored_captions import meteor_counts, meteor_of


def counts(words: int, wanted: int, matched: int, chunks: int) -> list[float]:
    """Exact matches of content words only."""
    return [words, wanted, 0, 0, matched, matched, *[0] * 14, chunks, matched, matched]


def test_a_caption_that_is_its_reference_scores_one() -> None:
    """Everything found in one piece is not fragmented at all."""
    assert meteor_of(np.array([counts(5, 5, 5, 1)], dtype=float)) == pytest.approx(1.0)


def test_precision_recall_and_fragments_by_hand() -> None:
    """Two of four words found, of five wanted, in two pieces: P = 1/2, R = 2/5, two fragments for two matches."""
    mean = 0.5 * 0.4 / (0.85 * 0.5 + 0.15 * 0.4)

    found = meteor_of(np.array([counts(4, 5, 2, 2)], dtype=float))

    assert found == pytest.approx(mean * (1 - 0.6 * 1.0**0.2))


def test_nothing_in_common_scores_nothing() -> None:
    """No match, and an empty caption, are zero and no division by it."""
    assert meteor_of(np.array([counts(4, 5, 0, 0)], dtype=float)) == 0.0
    assert meteor_of(np.array([counts(0, 5, 0, 0)], dtype=float)) == 0.0


def test_the_jar_finds_stems_and_order(meteor_jar: Path) -> None:
    """The reference itself scores one, a stem less, a stranger and an empty caption nothing."""
    captions = ["A dog runs.", "a dog running", "zzz", ""]

    rows = meteor_counts(captions, [["A dog runs ."]] * 4, meteor_jar)

    scores = [meteor_of(rows[[row]]) for row in range(4)]
    assert scores[0] == pytest.approx(1.0)
    assert 0.0 < scores[1] < 1.0
    assert scores[2:] == [0.0, 0.0]
