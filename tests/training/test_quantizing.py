"""Steps of whole numbers."""

import pytest
import torch

from imagetext.engines.int8 import SIGNED, UNSIGNED
from imagetext.models.quantized import weight_steps
from training.quantize import activation_step


@pytest.mark.parametrize(("largest", "step"), [(0.9, 2.0**-8), (1.9, 2.0**-7), (100.0, 0.5)])
def test_step_reaches_the_largest_number(largest: float, step: float) -> None:
    """Of evenly spread numbers nothing is worth cutting off."""
    assert activation_step(torch.linspace(0, largest, 1000), *UNSIGNED) == step


def test_a_single_outlier_is_cut_off() -> None:
    """A finer step for all others is worth more."""
    numbers = torch.linspace(-1, 1, 100_000)
    numbers[0] = -1.2

    assert activation_step(numbers, *SIGNED) == 2.0**-7


def test_each_channel_has_a_step_of_its_own() -> None:
    """The finest that its weights can do with; of nothing but zeros any will do."""
    weight = torch.stack([torch.full((8, 3, 3), 1.0), torch.full((8, 3, 3), 100.0), torch.zeros(8, 3, 3)])

    steps = weight_steps(weight)

    assert steps[:2].tolist() == [2.0**-6, 2.0]
    assert 0 < steps[2] < 1e-4
