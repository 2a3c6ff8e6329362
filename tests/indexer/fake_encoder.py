"""An encoder that needs no weights: a fixed random projection of the shrunken picture."""

import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

POISON = (1, 2, 3)  # a picture that begins with this colour makes the encoder raise
NAN = (3, 2, 1)  # and with this one it gives a vector that is no number


class FakeEncoder:
    """Counts what it did in `batches`, and keeps its `texts`; `pause` seconds make each batch slow."""

    name = "fake"
    parameters = 0
    streams = 1
    decoded_side = 8
    labels = None

    def __init__(self, fingerprint: str = "fake-1", dimensions: int = 16, pause: float = 0.0) -> None:
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.pause = pause
        self.batches: list[int] = []
        self.texts: list[str] = []
        self.engines: dict[str, object] = {}
        self._projection = np.random.default_rng(sum(fingerprint.encode())).standard_normal((8 * 8 * 3, dimensions))

    def prepare(self, picture: Image.Image) -> np.ndarray:
        if picture.size == (13, 13):
            raise RuntimeError("the fake encoder prepares no 13 x 13 pictures")
        return np.asarray(picture.resize((8, 8), Image.Resampling.NEAREST), dtype=np.uint8)

    def encode_pictures(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        time.sleep(self.pause)
        pixels = np.stack(inputs)
        if (pixels[:, 0, 0] == POISON).all(axis=1).any():
            raise RuntimeError("the fake encoder met poison")
        self.batches.append(len(inputs))
        vectors = (pixels.reshape(len(inputs), -1) / 255 + 0.01) @ self._projection
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[(pixels[:, 0, 0] == NAN).all(axis=1)] = np.nan
        return vectors.astype(np.float32)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        seeds = [np.random.default_rng(list(text.encode())) for text in texts]
        vectors = np.stack([seed.standard_normal(self.dimensions) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
