"""What bounds a network."""

import pytest
import torch
from torch import nn

from bench.timing import memory_speed, network_floor, product_speed

SIDE = 512
KINDS = pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.int8])


@pytest.fixture
def layer() -> nn.Linear:
    return nn.Linear(SIDE, SIDE, bias=False)


@KINDS
def test_what_computes_nothing_waits_for_its_numbers(layer: nn.Linear, kind: torch.dtype) -> None:
    """As long as memory takes to read them: at four bytes a number, at two, or at one."""
    floor = network_floor(lambda: layer.weight[0], [layer], kind)

    assert floor.value == pytest.approx(SIDE**2 * kind.itemsize / memory_speed() * 1000)
    assert "MB" in floor.what and str(kind).removeprefix("torch.") in floor.what


@KINDS
def test_what_reads_nothing_waits_for_its_arithmetic(kind: torch.dtype) -> None:
    """As long as so many operations take in a large product of such numbers."""
    numbers = torch.ones(SIDE, SIDE)
    floor = network_floor(lambda: numbers @ numbers, [], kind)

    assert floor.value == pytest.approx(2 * SIDE**3 / product_speed(kind) * 1000)
    assert "GFLOP" in floor.what


@KINDS
def test_the_longer_one_bounds(layer: nn.Linear, kind: torch.dtype) -> None:
    """One row through a matrix, whichever of both this machine is slow at."""
    floor = network_floor(lambda: layer(torch.ones(1, SIDE)), [layer], kind)
    reading, computing = SIDE**2 * kind.itemsize / memory_speed(), 2 * SIDE**2 / product_speed(kind)

    assert floor.value == pytest.approx(max(reading, computing) * 1000)


def test_int8_is_at_least_twice_as_fast_as_anything_measured() -> None:
    """It is reckoned from the others."""
    assert product_speed(torch.int8) >= 2 * max(product_speed(torch.bfloat16), product_speed(torch.float32))
