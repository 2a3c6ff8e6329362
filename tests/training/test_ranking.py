"""Ranks and average precision on cases small enough to work out by hand."""

import numpy as np
import pytest

from training.ranking import Ranking, rank

EVERY = np.arange(2)


@pytest.fixture
def ranking() -> Ranking:
    """Two pictures on the axes, two texts each.

    Picture 0 finds its texts at places 1 and 3, since text 2 of picture 1 stands between; picture 1 finds its own at
    places 2 and 4, since text 1 of picture 0 stands first.
    """
    texts = np.array([[0.9, 0.3], [0.5, 0.95], [0.7, 0.1], [0.1, 0.6]], dtype=np.float32)
    return rank(texts, np.eye(2, dtype=np.float32), [0, 0, 1, 1])


def test_ranks_and_average_precision(ranking: Ranking) -> None:
    """AP is the mean over a picture's own texts of the share of own texts up to each of them."""
    assert ranking.text_rank.tolist() == [0, 1, 1, 0]
    assert ranking.picture_rank.tolist() == [0, 1]
    assert ranking.precision == pytest.approx([(1 / 1 + 2 / 3) / 2, (1 / 2 + 2 / 4) / 2])


def test_scores_both_ways(ranking: Ranking) -> None:
    """For words mAP is the mean reciprocal rank; a median between two ranks is rounded down."""
    found = ranking.scores(EVERY)

    assert found["text_to_picture_r1"] == 50
    assert found["text_to_picture_map"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 1) / 4)
    assert found["text_to_picture_median_rank"] == 1
    assert found["picture_to_text_r1"] == 50
    assert found["picture_to_text_r5"] == 100
    assert found["picture_to_text_map"] == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_a_picture_drawn_twice_counts_twice_with_its_texts(ranking: Ranking) -> None:
    """Resampling draws pictures and brings all their texts; ranks stay those in the whole set."""
    found = ranking.scores(np.array([1, 1]))

    assert found["picture_to_text_map"] == pytest.approx(1 / 2)
    assert found["text_to_picture_map"] == pytest.approx((1 / 2 + 1) / 2)


def test_equal_texts_of_one_picture_do_not_count_double() -> None:
    """Two equal right texts on top are a perfect precision of one, not more."""
    texts = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)

    assert rank(texts, np.eye(2, dtype=np.float32), [0, 0, 1]).precision.tolist() == [1.0, 1.0]
