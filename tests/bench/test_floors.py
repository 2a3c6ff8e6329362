"""What bounds a network."""

import pytest
import torch
from torch import nn

from bench.floors import network_floor, product_speed

SIDE = 2048


@pytest.mark.parametrize(("kind", "bytes_each"), [(torch.bfloat16, 2), (torch.int8, 1)])
def test_smaller_numbers_are_read_sooner(kind: torch.dtype, bytes_each: int) -> None:
    """One row through a large matrix waits for the matrix, at two bytes a number, or at one."""
    layer = nn.Linear(SIDE, SIDE, bias=False)
    row = torch.ones(1, SIDE)
    plain, small = (network_floor(lambda: layer(row), [layer], each) for each in (torch.float32, kind))

    assert small.value == pytest.approx(plain.value * bytes_each / 4)
    assert str(kind).removeprefix("torch.") in small.what


def test_int8_is_at_least_twice_as_fast_as_anything_measured() -> None:
    assert product_speed(torch.int8) >= 2 * max(product_speed(torch.bfloat16), product_speed(torch.float32))
