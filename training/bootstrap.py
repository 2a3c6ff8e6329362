"""How sure a score is: the same score on pictures drawn again, with replacement (Efron, 1979; percentile interval)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Rows = NDArray[np.intp]

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True, eq=False)
class Estimate:
    """A score of all pictures, and the same score of each resample."""

    value: float
    samples: NDArray[np.float64]

    @property
    def low(self) -> float:
        return float(np.percentile(self.samples, INTERVAL[0]))

    @property
    def high(self) -> float:
        return float(np.percentile(self.samples, INTERVAL[1]))

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference on the same resamples: surer than two intervals side by side."""
        return Estimate(self.value - other.value, self.samples - other.samples)


def bootstrap(
    scores: Callable[[Rows], dict[str, float]], pictures: int, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Estimates of all that `scores` gives for rows of pictures.

    Pictures are drawn, not captions, since the captions of one picture are alike. The same seed and number of pictures
    give the same resamples, so estimates of two models can be subtracted.
    """
    generator = np.random.default_rng(seed)
    whole = scores(np.arange(pictures))
    drawn = [
        scores(generator.integers(pictures, size=pictures))
        for _ in tqdm(range(resamples), desc="resamples", leave=False)
    ]
    return {name: Estimate(value, np.array([one[name] for one in drawn])) for name, value in whole.items()}
