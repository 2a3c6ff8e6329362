"""How far an unwanted word pushes, measured."""

import numpy as np
import pytest

from training.dataset import CaptionedPicture
from training.negation import FEWEST, average_precision, measure, pairs_of, shown


def test_nouns_are_found_in_captions(tmp_path):
    """A noun or its plural in any caption counts, a part of another word does not."""
    pictures = [
        CaptionedPicture(tmp_path / "0", ("Two Dogs run .", "A man sits .")),
        CaptionedPicture(tmp_path / "1", ("A woman and her cat .",)),
    ]

    marks = shown(pictures, ("dog", "man", "cat"))

    assert {noun: found.tolist() for noun, found in marks.items()} == {
        "dog": [True, False],
        "man": [True, False],
        "cat": [False, True],
    }


def test_pairs_are_together_and_apart():
    """Only nouns that are together in some pictures and apart in others make a question."""
    size = 3 * FEWEST
    dog, always, never = np.zeros(size, bool), np.ones(size, bool), np.zeros(size, bool)
    dog[:FEWEST] = True

    assert pairs_of({"dog": dog, "always": always, "never": never}) == [("always", "dog")]


@pytest.mark.parametrize(
    ("relevant", "expected"), [([1, 0, 0], 1.0), ([0, 0, 1], 1 / 3), ([1, 0, 1], (1 + 2 / 3) / 2), ([1, 1, 1], 1.0)]
)
def test_average_precision(relevant, expected):
    """The mean of the precision at each relevant place."""
    scores = np.array([0.9, 0.5, 0.1], dtype=np.float32)

    assert average_precision(scores, np.array(relevant, bool)) == pytest.approx(expected)


def test_pushing_away_helps_where_it_should():
    """Where pictures with both lie between the nouns, any push finds those without before them."""
    wanted, unwanted = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    with_both, alone = np.array([0.9, 0.44], dtype=np.float32), np.array([0.88, -0.47], dtype=np.float32)
    marks = {"a": np.array([True, True]), "b": np.array([True, False])}

    found = measure({"a": wanted, "b": unwanted}, np.stack([with_both, alone]), marks, [("a", "b")])

    assert found[0.0] == pytest.approx(1 / 2)
    assert {precision for strength, precision in found.items() if strength} == {1.0}
