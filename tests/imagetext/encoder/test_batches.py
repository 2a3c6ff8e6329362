"""Encoders go by the sizes of batches that were measured for their engines."""

from pathlib import Path

import numpy as np
from PIL import Image

from imagetext.encoder.engine import load_encoder
from imagetext.engines import Array, Engines, Loaded, Program, run_in_torch
from tests.imagetext.encoder.tiny_clip import save_tiny_clip


class MeasuredEngines(Engines):
    """Torch, with sizes that four is the best of; it counts what it is given at once."""

    def __init__(self) -> None:
        super().__init__(streams=2)
        self.sizes: list[int] = []

    def load(self, program: Program, fingerprint: str) -> Loaded:
        run = run_in_torch(program.module)

        def counted(*inputs: Array) -> list[Array]:
            self.sizes.append(len(inputs[0]))
            return list(run(*inputs))

        return Loaded(counted, "torch", {1: 1.0, 4: 2.0, 8: 6.0})


def test_pictures_are_encoded_in_batches_of_the_best_size(tmp_path: Path) -> None:
    """However many there are, and in their order."""
    save_tiny_clip(tmp_path)
    encoder, engines = load_encoder(tmp_path), MeasuredEngines()
    inputs = [encoder.prepare(Image.new("RGB", (40, 40), (25 * number, 90, 10))) for number in range(10)]
    expected = encoder.encode_pictures(inputs)

    encoder.run_in(engines)
    found = encoder.encode_pictures(inputs)

    assert engines.sizes == [4, 4, 2]
    assert np.allclose(found, expected, atol=1e-5)
    assert (encoder.best_batch("picture"), encoder.best_batch("text"), encoder.streams) == (4, 4, 2)


def test_nothing_is_known_before_engines_are_chosen(tmp_path: Path) -> None:
    """In plain torch all pictures go in one batch."""
    save_tiny_clip(tmp_path)
    encoder = load_encoder(tmp_path)

    assert (encoder.best_batch("picture"), encoder.streams) == (None, 1)
    assert encoder.decoded_side == 32
