"""How long a call takes, and the least that a network could take on this machine.

A network's floor is its arithmetic at the speed of a plain matrix product, or its weights at the speed of memory,
whichever takes longer.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.row import Floor

SIDE = 1536  # of the matrices; large enough for full speed
SMALLEST = 192  # of the matrices, for machines that would take minutes for larger ones
COPIED = 256 * 2**20  # bytes; larger than any cache
SECONDS = 0.5


def milliseconds(call: Callable[[], object], seconds: float, *, least: int = 3) -> float:
    """The median time of a call over `seconds`, after one call as warm-up."""
    call()
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found) * 1000


def network_floor(call: Callable[[], object], modules: Iterable[nn.Module], kind: torch.dtype = torch.float32) -> Floor:
    """The floor in milliseconds of a call that passes once through the modules, for arithmetic in `kind`."""
    operations, read = arithmetic(call), weights(modules) * kind.itemsize
    computing, reading = operations / product_speed(kind) * 1000, read / memory_speed() * 1000
    precision = str(kind).removeprefix("torch.")
    if computing < reading:
        speed = memory_speed() / 1e9
        return Floor(reading, f"{read / 1e6:.3g} MB of {precision} weights at {speed:.1f} GB/s, read here")
    measured = "derived from torch's other products" if kind == torch.int8 else f"torch's {precision} product"
    speed = product_speed(kind) / 1e9
    return Floor(computing, f"{operations / 1e9:.3g} GFLOP at {speed:.0f} GFLOP/s, {measured} here")


def arithmetic(call: Callable[[], object]) -> float:
    """Floating-point operations of a call; a multiplication and an addition count as two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def weights(modules: Iterable[nn.Module]) -> int:
    """Parameters that a pass reads; embeddings are left out, since only a few rows are read."""
    parts = [part for module in modules for part in module.modules() if not isinstance(part, nn.Embedding)]
    return sum(numbers.numel() for part in parts for numbers in part.parameters(recurse=False))


@cache
def product_speed(kind: torch.dtype) -> float:
    """Operations per second of a large matrix product.

    For int8 it is derived: an instruction takes twice as many int8 numbers as bfloat16 ones, four times as many as
    float32 ones. torch's own int8 product is slower than its bfloat16 product, so it is no bound; nor is bfloat16 on
    machines without instructions for it, where float32 is faster.
    """
    if kind == torch.int8:
        return max(2 * product_speed(torch.bfloat16), 4 * product_speed(torch.float32))
    speed = _measured_speed(kind)
    return speed if kind == torch.float32 else max(speed, product_speed(torch.float32))


def _measured_speed(kind: torch.dtype) -> float:
    """With the largest matrices whose product fits into the measuring time."""
    side = SMALLEST
    while (took := _milliseconds_of(kind, side, seconds=0)) * 8 < SECONDS * 1000 and side < SIDE:
        side *= 2
    return 2 * side**3 / min(took, _milliseconds_of(kind, side, SECONDS)) * 1000


def _milliseconds_of(kind: torch.dtype, side: int, seconds: float) -> float:
    left, right = torch.ones(side, side, dtype=kind), torch.ones(side, side, dtype=kind)
    with torch.inference_mode():
        return milliseconds(lambda: left @ right, seconds)


@cache
def memory_speed() -> float:
    """Bytes per second read from memory by all threads of torch."""
    numbers = torch.from_numpy(np.ones(COPIED // 4, dtype=np.float32))
    with torch.inference_mode():
        return COPIED / milliseconds(numbers.sum, SECONDS) * 1000
