"""What all encoders share: a network that sees, a network that reads, and the engines that run them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from imagetext.encoder.calibration import Calibration
from imagetext.engines import Array, Engines, Loaded, Program, best_size, run_in_torch
from imagetext.engines.examples import example_pictures
from imagetext.pixels import Pixels
from imagetext.transform import PictureTransform

Kind = Literal["text", "picture"]

_USUAL_TEXT = "a brown dog runs across the grass with a ball in its mouth"


class PictureTower(nn.Module):
    """Prepared pictures (n, 3, size, size) in bytes -> unit rows (n, dimensions), through a network of scaled ones."""

    def __init__(self, transform: PictureTransform, network: nn.Module) -> None:
        super().__init__()
        self.pixels = Pixels(transform)
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        rows: Tensor = self.network(self.pixels(pictures))
        return rows


class TwoTowers(ABC):
    """Pictures and texts in, unit rows out. As many threads as `streams` says may encode pictures at once, one texts.

    It runs in torch until `run_in` gives it other engines.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        pictures: nn.Module,
        texts: nn.Module,
        dimensions: int,
        transform: PictureTransform,
        calibration: Calibration,
    ) -> None:
        """
        Args:
            pictures: scaled pictures (n, 3, size, size) -> unit rows.
            texts: what `tokens` gives -> unit rows.
        """
        self.name = name
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.transform = transform
        self.calibration = calibration
        self.parameters = sum(p.numel() for p in {*pictures.parameters(), *texts.parameters()})
        self._modules = PictureTower(transform, pictures).eval(), texts.eval()
        self._see, self._read = (run_in_torch(module) for module in self._modules)
        self._loaded: dict[str, Loaded] = {}
        self.streams = 1

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """What the reading network takes, each (n, steps) int64."""

    def reading_in_engines(self) -> nn.Module | None:
        """The reading network as engines are given it, where that is not as it runs in torch."""
        return None

    def run_in(self, engines: Engines) -> None:
        """Choose an engine for each of the two networks."""
        seeing, reading = self._modules
        examples = example_pictures(self.transform.size)
        tokens = self.tokens([_USUAL_TEXT])
        # All lengths up to the usual one, texts of different lengths together, and single words: int8 is worst there.
        words = _USUAL_TEXT.split()
        others = [self.tokens([" ".join(words[:count])]) for count in range(1, len(words))]
        others += [self.tokens([_USUAL_TEXT, "a dog", " ".join(words * 2)]), self.tokens(words)]
        pictures = Program("pictures", seeing, (examples[:1],), ((0,),), ((examples,),))
        texts = Program(
            "texts", reading, tokens, ((0, 1),) * len(tokens), tuple(others), lean=self.reading_in_engines()
        )
        self.streams = engines.streams
        self._loaded = {program.name: engines.load(program, self.fingerprint) for program in (pictures, texts)}
        self._see, self._read = (self._loaded[program.name].run for program in (pictures, texts))

    @property
    def engines(self) -> dict[str, str]:
        """The engine of each network; empty before `run_in`."""
        return {name: loaded.engine for name, loaded in self._loaded.items()}

    def best_batch(self, kind: Kind) -> int | None:
        """How many of a kind are encoded at once at nearly the best rate; None where that was not measured."""
        loaded = self._loaded.get(f"{kind}s")
        return None if loaded is None else best_size(loaded.seconds)

    def seconds_alone(self, kind: Kind) -> float:
        """What one of a kind takes; infinity where that was not measured."""
        loaded = self._loaded.get(f"{kind}s")
        return math.inf if loaded is None else loaded.seconds.get(1, math.inf)

    @property
    def decoded_side(self) -> int:
        """See `PictureTransform.decoded_side`."""
        return self.transform.decoded_side

    @property
    def prepare(self) -> Callable[[Image.Image], NDArray[np.uint8]]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread, pickles without the model."""
        return self.transform.resize

    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions), in batches of the best size."""
        size = self.best_batch("picture") or len(inputs)
        if len(inputs) <= size:
            return _rows(self._see(_together(inputs)))
        parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
        return np.concatenate([_rows(self._see(_together(part))) for part in parts])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions)."""
        return _rows(self._read(*(tensor.numpy() for tensor in self.tokens(texts))))

    def relevance(self, query: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """A query's unit vector (dimensions,) and cosine similarities to it (n,) -> probabilities of a match (n,)."""
        return self.calibration.relevance(query, scores)


def _together(inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One array of all, (n, 3, size, size); a single picture is not copied."""
    return inputs[0][None] if len(inputs) == 1 else np.stack(inputs)


def _rows(found: Sequence[Array]) -> NDArray[np.float32]:
    return np.asarray(found[0], dtype=np.float32)
