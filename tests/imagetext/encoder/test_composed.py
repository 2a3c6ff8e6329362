"""Several vectors made into one direction."""

import numpy as np
import pytest

from imagetext.models.encoder.engine import AWAY, composed
from imagetext.wire.errors import InvalidParameter

X, Y, Z = np.eye(3, dtype=np.float32)


def test_one_part_is_itself():
    """A query of one part is its vector, whatever its weight."""
    assert composed([X], [3.0]) is X


def test_weights_say_how_much_each_counts():
    """The heavier part draws more, and the result has unit length."""
    found = composed([X, Y], [2.0, 1.0])

    assert found == pytest.approx(np.array([2, 1, 0]) / 5**0.5)
    assert found.dtype == np.float32


def test_only_how_weights_compare_matters():
    """Twice all weights is the same query."""
    parts, weights = [X, Y, Z], np.array([1.0, 3.0, -2.0])

    assert composed(parts, list(weights)) == pytest.approx(composed(parts, list(2 * weights)))


def test_an_unwanted_part_pushes_away():
    """It is taken from the direction of the wanted ones, so that it counts as much however many they are."""
    one, two, half = (
        composed([X, Z], [1, -1]),
        composed([X, Y, Z], [1, 1, -1]),
        composed([X, Z], [2, -1]),
    )

    assert one[2] / one[0] == pytest.approx(-AWAY)
    assert two[2] / np.hypot(two[0], two[1]) == pytest.approx(-AWAY)
    assert half[2] / half[0] == pytest.approx(-AWAY / 2)


def test_many_unwanted_parts_push_no_farther_than_one():
    """They share their push, or a few of them would drown what is wanted."""
    found = composed([X, Y, Z], [1, -1, -1])

    assert np.hypot(found[1], found[2]) / found[0] == pytest.approx(AWAY)


@pytest.mark.parametrize(("parts", "weights"), [([X, -X], [1, 1]), ([X, X], [1, -2]), ([X, Y, -Y], [1, -1, -1])])
def test_parts_that_cancel_out_are_refused(parts, weights):
    """A sum without a direction is no query."""
    with pytest.raises(InvalidParameter, match="cancel"):
        composed(parts, weights)
