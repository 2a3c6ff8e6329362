"""Combines the parts of a query into one vector."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imagetext.wire.errors import InvalidParameter

AWAY = 0.5  # how far unwanted parts of weight -1 push; chosen by training/negation.py
_SHORTEST = 1e-3  # a shorter sum has no direction, only rounding errors


def composed(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """The direction to search in: a unit vector (dimensions,).

    Wanted and unwanted vectors are summed separately by weight. The direction of the unwanted sum, times `AWAY` and the
    largest unwanted weight, is subtracted from that of the wanted sum. Only ratios of weights matter: the largest
    wanted weight counts as 1.

    Args:
        vectors: unit vectors (dimensions,), one for each weight.
        weights: none of them 0, at least one positive.

    Raises:
        InvalidParameter: the parts cancel each other out.
    """
    if len(vectors) == 1:
        return vectors[0]
    relative = np.array(weights, dtype=np.float32) / max(weights)
    rows = np.stack(vectors)
    wanted = _direction(np.maximum(relative, 0) @ rows)
    push = -float(relative.min())
    if push <= 0:
        return wanted
    return _direction(wanted - AWAY * push * _direction(np.maximum(-relative, 0) @ rows))


def _direction(total: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(total))
    if length < _SHORTEST:
        raise InvalidParameter("The parts of the query cancel each other out; change a `weight`.")
    unit: NDArray[np.float32] = (total / length).astype(np.float32)
    return unit
