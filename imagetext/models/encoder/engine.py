"""The encoder that is served: pictures and texts in, unit vectors out. No HTTP here, and no torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.engines import Engines, Loaded, best_size
from imagetext.engines.choice import TORCH
from imagetext.models.encoder.calibration import Calibration, Labels, load_calibration, load_labels
from imagetext.models.encoder.tokenizer import Ids, Tokenizer, load_tokenizer
from imagetext.models.exported import ENCODER, Networks, damaged, exported, load_networks
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import InvalidParameter

AWAY = 0.5  # how far unwanted parts of weight -1 push; chosen by training/negation.py
_SHORTEST = 1e-3  # a shorter sum has no direction, only rounding errors
Kind = Literal["text", "picture"]
PICTURES, TEXTS = "pictures", "texts"  # the two networks


@dataclass(frozen=True)
class EncoderFacts:
    """What is known about an encoder without loading its networks. `fingerprint` changes whenever a vector could."""

    name: str
    fingerprint: str
    dimensions: int
    parameters: int
    transform: PictureTransform
    calibration: Calibration
    labels: Labels | None = None

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the files, and return the entry for model.json that `read` takes."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "dimensions": self.dimensions,
            "parameters": self.parameters,
            "transform": self.transform.to_config(),
            "calibration": self.calibration.save(folder),
            **({} if self.labels is None else {"labels": self.labels.save(folder)}),
        }

    @classmethod
    def read(cls, folder: Path, facts: Mapping[str, Any]) -> "EncoderFacts":
        transform = PictureTransform.from_config(facts["transform"])
        calibration = load_calibration(folder, facts["calibration"])
        labels = load_labels(folder, facts["labels"]) if "labels" in facts else None
        numbers = facts["dimensions"], facts["parameters"]
        return cls(facts["name"], facts["fingerprint"], *numbers, transform, calibration, labels)


@dataclass(frozen=True)
class EncodedPictures:
    """Unit `rows` (n, dimensions), and `log_probabilities` (n, names) if the model has labels."""

    rows: NDArray[np.float32]
    log_probabilities: NDArray[np.float32] | None


class Encoder:
    """Pictures and texts in, unit rows (n, dimensions) in float32 out.

    Up to `streams` threads may encode pictures at once, one may encode texts. Networks are loaded on first use, or by
    `load`.
    """

    def __init__(
        self,
        facts: EncoderFacts,
        tokenizer: Tokenizer,
        networks: Callable[[str], Loaded],
        streams: int = 1,
    ) -> None:
        """`networks` returns one of the two by name; it is called once for each."""
        self.facts = facts
        self.name, self.fingerprint, self.dimensions = facts.name, facts.fingerprint, facts.dimensions
        self.parameters, self.transform, self.calibration = facts.parameters, facts.transform, facts.calibration
        self.labels = facts.labels
        self.tokenizer = tokenizer
        self.streams = streams
        self._networks = Networks(networks)

    def load(self, *networks: str) -> None:
        """Load the named networks now, or both."""
        self._networks.load(*networks or (PICTURES, TEXTS))

    @property
    def engines(self) -> dict[str, Loaded]:
        """The networks that are loaded, with their engines."""
        return self._networks.loaded()

    def best_batch(self, kind: Kind) -> int | None:
        """The smallest batch of a kind with nearly the best rate; None if that was not measured."""
        return best_size(self._networks[f"{kind}s"].seconds)

    def seconds_alone(self, kind: Kind) -> float:
        """Seconds for one of a kind; infinity if that was not measured."""
        return self._networks[f"{kind}s"].seconds.get(1, math.inf)

    @property
    def decoded_side(self) -> int:
        """See `PictureTransform.decoded_side`."""
        return self.transform.decoded_side

    @property
    def prepare(self) -> Callable[[Image.Image], NDArray[np.uint8]]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread, pickles without the model."""
        return self.transform.resize

    def tokens(self, texts: Sequence[str]) -> tuple[Ids, ...]:
        """The text network's inputs, each (n, steps)."""
        return self.tokenizer(texts)

    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions), in batches of the best size."""
        return self.encode_with_labels(inputs).rows

    def encode_with_labels(self, inputs: Sequence[NDArray[np.uint8]]) -> EncodedPictures:
        """As `encode_pictures`, with the probabilities of the names."""
        run, size = self._networks[PICTURES].run, self.best_batch("picture") or len(inputs)
        parts = [run(_together(inputs[start : start + size])) for start in range(0, len(inputs), size)]
        rows, *more = parts[0] if len(parts) == 1 else [np.concatenate(each) for each in zip(*parts, strict=True)]
        return EncodedPictures(
            np.asarray(rows, dtype=np.float32), np.asarray(more[0], dtype=np.float32) if more else None
        )

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions)."""
        return np.asarray(self._networks[TEXTS].run(*self.tokens(texts))[0], dtype=np.float32)

    def relevance(self, query: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """A query's unit vector (dimensions,) and cosine similarities to it (n,) -> probabilities of a match (n,).

        Within one query it rises with the similarity.
        """
        return self.calibration.relevance(query, scores)


def load_encoder(source: str | Path, engines: Engines | None = None) -> Encoder:
    """One of this project's models by folder, or any CLIP by folder or hub id.

    Without engines, or with torch as the only one, it runs in torch.

    Raises:
        ModelError: nothing loadable is there.
    """
    if engines is None or engines.only == TORCH:
        from imagetext.models.encoder.load import load_in_torch

        return load_in_torch(source)
    model = exported(ENCODER, source, engines)
    try:
        facts = EncoderFacts.read(model.folder, model.facts)
        tokenizer = load_tokenizer(model.folder, model.facts["tokenizer"])
    except (KeyError, TypeError) as error:
        raise damaged(model.folder) from error
    return Encoder(facts, tokenizer, load_networks(model, engines), engines.streams)


def _together(inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """All in one array (n, 3, size, size); a single picture is not copied."""
    return inputs[0][None] if len(inputs) == 1 else np.stack(inputs)


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
