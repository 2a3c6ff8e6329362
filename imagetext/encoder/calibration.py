"""From similarity to relevance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """A logistic curve: the probability that a text and a picture of this cosine similarity belong together."""

    scale: float
    offset: float

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        curve: NDArray[np.float32] = 1 / (1 + np.exp(-(self.scale * scores + self.offset)))
        return curve.astype(np.float32)
