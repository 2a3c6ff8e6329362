"""Encoders go by the sizes of batches that were measured for their engines."""

from pathlib import Path

import numpy as np
from PIL import Image

from imagetext.engines import Array, Loaded
from imagetext.engines.export import run_in_torch
from imagetext.models.encoder.engine import Encoder
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.encoder.towers import TwoTowers
from tests.imagetext.encoder.tiny_clip import save_tiny_clip


class Measured:
    """An encoder's networks, with sizes that four is the best of; counts what they are given at once."""

    def __init__(self, encoder: TwoTowers) -> None:
        self.modules = encoder.modules
        self.sizes: list[int] = []

    def __call__(self, name: str) -> Loaded:
        run = run_in_torch(self.modules[name])

        def counted(*inputs: Array) -> list[Array]:
            self.sizes.append(len(inputs[0]))
            return list(run(*inputs))

        return Loaded(counted, "measured", {1: 1.0, 4: 2.0, 8: 6.0})


def test_pictures_are_encoded_in_batches_of_the_best_size(tmp_path: Path) -> None:
    """However many there are, and in their order."""
    save_tiny_clip(tmp_path)
    plain = load_in_torch(tmp_path)
    networks = Measured(plain)
    encoder = Encoder(plain.facts, plain.tokenizer, networks, streams=2)
    inputs = [encoder.prepare(Image.new("RGB", (40, 40), (25 * number, 90, 10))) for number in range(10)]

    found = encoder.encode_pictures(inputs)

    assert networks.sizes == [4, 4, 2]
    assert np.allclose(found, plain.encode_pictures(inputs), atol=1e-5)
    assert (encoder.best_batch("picture"), encoder.best_batch("text"), encoder.streams) == (4, 4, 2)
    assert encoder.seconds_alone("text") == 1.0


def test_nothing_is_known_in_torch(tmp_path: Path) -> None:
    """All pictures go in one batch, and nobody says what one takes."""
    save_tiny_clip(tmp_path)
    encoder = load_in_torch(tmp_path)

    assert (encoder.best_batch("picture"), encoder.streams) == (None, 1)
    assert encoder.seconds_alone("text") == float("inf")
    assert encoder.decoded_side == 32
