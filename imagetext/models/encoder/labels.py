"""Labels for a picture: names that the model knows, or names that a caller gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetext.wire.errors import ModelError

NAMES = "labels.txt"


@dataclass(frozen=True)
class Labels:
    """The names that a model knows, in the order of its probabilities.

    For given names, probabilities are the softmax of `scale` times the cosine similarities.
    """

    names: tuple[str, ...]
    scale: float

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the names, and return the config entry that `load_labels` takes."""
        (folder / NAMES).write_text("\n".join(self.names) + "\n", encoding="utf-8")
        return {"names": NAMES, "scale": self.scale}

    def likeliest(self, log_probabilities: NDArray[np.float32], count: int) -> list[tuple[str, float]]:
        """Log probabilities of one picture (names,) -> the likeliest names with probabilities, likeliest first."""
        best = np.argsort(-log_probabilities, kind="stable")[:count]
        return [(self.names[place], float(np.exp(log_probabilities[place]))) for place in best]

    def among(
        self, picture: NDArray[np.float32], names: Sequence[str], texts: NDArray[np.float32], count: int
    ) -> list[tuple[str, float]]:
        """As `likeliest`, of names with the unit rows (n, dimensions) of their texts."""
        similar = self.scale * (texts @ picture).astype(np.float64)
        probabilities = np.exp(similar - similar.max())
        probabilities /= probabilities.sum()
        best = np.argsort(-probabilities, kind="stable")[:count]
        return [(names[place], float(probabilities[place])) for place in best]


def load_labels(folder: Path, config: Mapping[str, Any]) -> Labels:
    """Raises ModelError where the names are missing."""
    try:
        names = (folder / config["names"]).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ModelError(f"{folder} lacks {config['names']}, which names what its model knows.") from error
    return Labels(tuple(names), float(config["scale"]))
