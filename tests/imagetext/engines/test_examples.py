"""The pictures on which engines are compared."""

import torch

from imagetext.engines.examples import COARSE, EACH, example_pictures


def test_they_are_the_same_in_every_start() -> None:
    torch.manual_seed(5)
    first = example_pictures(64)
    torch.manual_seed(6)
    assert torch.equal(first, example_pictures(64))


def test_some_are_noise_and_some_are_smooth() -> None:
    """Where neighbours differ by half of the range, or by little."""
    pictures = example_pictures(64).float()
    steps = pictures.diff(dim=-1).abs().mean((1, 2, 3))

    assert pictures.shape == (EACH * (1 + len(COARSE)), 3, 64, 64)
    assert (steps[:EACH] > 60).all() and (steps[EACH:] < 30).all()
