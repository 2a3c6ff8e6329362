"""How well texts find pictures and pictures find texts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.ranking import rank


def clip_scores(texts: NDArray[np.float32], pictures: NDArray[np.float32], captions: Sequence[int]) -> dict[str, float]:
    """Recall at 1, 5 and 10 in percent, median rank and mean average precision, both ways.

    Texts (m, d) and pictures (n, d) are unit rows, the texts in the order of the pictures; `captions` (n,) tells how
    many each picture has.
    """
    owner = [picture for picture, count in enumerate(captions) for _ in range(count)]
    found = rank(texts, pictures, owner).scores(np.arange(len(pictures)))
    return {name: round(value, 4 if name.endswith("_map") else 2) for name, value in found.items()}
