"""From similarities to probabilities: the relevance of a picture to a query, and the labels of a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from imagetext.wire.errors import ModelError

NAMES = "labels.txt"
BACKGROUND = "background.safetensors"
BACKGROUND_TENSOR = "pictures"
NEAREST_SHARE = 0.05  # of the background pictures: how near to a query chance comes


@dataclass(frozen=True, eq=False)
class Calibration:
    """A logistic curve: the probability that a picture matches the query.

    Its input is how much nearer the picture is to the query than unrelated background pictures are; without background,
    the cosine similarity alone. Within one query it rises with the similarity.
    """

    scale: float
    offset: float
    background: NDArray[np.float32] | None = None  # (n, dimensions) unit rows

    def relevance(self, query: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """A query's unit vector (dimensions,) and cosine similarities (n,) to it -> probabilities (n,)."""
        nearer = scores - self.by_chance(query)
        curve: NDArray[np.float32] = 1 / (1 + np.exp(-(self.scale * nearer + self.offset)))
        return curve.astype(np.float32)

    def by_chance(self, query: NDArray[np.float32]) -> float:
        """The mean similarity of the nearest twentieth of the background pictures; 0 without background."""
        if self.background is None:
            return 0.0
        count = max(1, round(NEAREST_SHARE * len(self.background)))
        return float(np.partition(self.background @ query, -count)[-count:].mean())

    def to_config(self) -> dict[str, Any]:
        """The entry in a model's config; the background is a file beside it."""
        curve = {"scale": self.scale, "offset": self.offset}
        return curve if self.background is None else {**curve, "background": BACKGROUND}

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the background; what is given back goes to `load_calibration`."""
        if self.background is not None:
            save_file({BACKGROUND_TENSOR: self.background}, folder / BACKGROUND)
            (folder / BACKGROUND).chmod(0o644)  # safetensors lets only the owner read it
        return self.to_config()


def load_calibration(folder: Path, config: Mapping[str, Any]) -> Calibration:
    """Raises ModelError where the background is named but missing, damaged or empty."""
    curve = float(config["scale"]), float(config["offset"])
    name = config.get("background")
    if name is None:
        return Calibration(*curve)
    try:
        pictures = load_file(folder / name)[BACKGROUND_TENSOR].astype(np.float32)
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{name} in {folder} is missing or damaged.") from error
    if pictures.ndim != 2 or not len(pictures):
        raise ModelError(f"{name} in {folder} holds no vectors.")
    return Calibration(*curve, pictures / np.linalg.norm(pictures, axis=1, keepdims=True))


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
