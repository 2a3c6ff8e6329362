"""Two sides by turns, and what their turns tell.

What bounds a network on this machine: its arithmetic at the speed of a plain matrix product, or its weights at the
speed of memory, whichever takes longer.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.row import LOWER, Contest, Floor

WARM_UP_TURNS = 1


@dataclass(frozen=True)
class Turns:
    """The values of both sides, round by round."""

    ours: tuple[float, ...]
    rival: tuple[float, ...]


def play(contest: Contest, rounds: int, done: Callable[[int], object] = lambda number: None) -> Turns:
    """Warm both sides up, then let them take turns; `done` is told the number of each round."""
    for _ in range(WARM_UP_TURNS):
        contest.ours()
        contest.rival()
    ours, rival = [], []
    for number in range(1, rounds + 1):
        ours.append(contest.ours())
        rival.append(contest.rival())
        done(number)
    return Turns(tuple(ours), tuple(rival))


def ratios(turns: Turns, unit: str, lower_is_better: bool = False) -> tuple[float, ...]:
    """Of each round how many times better ours was; with `lower_is_better` our value in the rival's."""
    pairs = list(zip(turns.ours, turns.rival, strict=True))
    if lower_is_better or unit not in LOWER:
        return tuple(ours / rival for ours, rival in pairs)
    return tuple(rival / ours for ours, rival in pairs)


def interquartile(values: Sequence[float]) -> float:
    """The range that the middle half lies in; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def milliseconds(call: Callable[[], object], seconds: float, *, least: int = 3) -> float:
    """The median time of a call, from as many as fit into `seconds`; one goes before and does not count."""
    call()
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found) * 1000


SIDE = 1536  # of the matrices; large enough for full speed
SMALLEST = 192  # where a machine takes minutes for large ones, smaller ones tell as much
COPIED = 256 * 2**20  # bytes; larger than any cache
SECONDS = 0.5


def network_floor(call: Callable[[], object], modules: Iterable[nn.Module], kind: torch.dtype = torch.float32) -> Floor:
    """The floor, in milliseconds, of a call that passes once through the modules; our side computes in `kind`."""
    operations, read = arithmetic(call), weights(modules) * kind.itemsize
    computing, reading = operations / product_speed(kind) * 1000, read / memory_speed() * 1000
    precision = str(kind).removeprefix("torch.")
    if computing < reading:
        speed = memory_speed() / 1e9
        return Floor(reading, f"{read / 1e6:.3g} MB of {precision} weights at {speed:.1f} GB/s, read here")
    measured = "reckoned from torch's other products" if kind == torch.int8 else f"torch's {precision} product"
    speed = product_speed(kind) / 1e9
    return Floor(computing, f"{operations / 1e9:.3g} GFLOP at {speed:.0f} GFLOP/s, {measured} here")


def arithmetic(call: Callable[[], object]) -> float:
    """Floating-point operations of a call, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def weights(modules: Iterable[nn.Module]) -> int:
    """Numbers that a pass reads all of; of embeddings it reads a few rows."""
    parts = [part for module in modules for part in module.modules() if not isinstance(part, nn.Embedding)]
    return sum(numbers.numel() for part in parts for numbers in part.parameters(recurse=False))


@cache
def product_speed(kind: torch.dtype) -> float:
    """Operations a second of a large matrix product.

    Of int8 it is reckoned: an instruction takes twice as many numbers as of bfloat16 and four times as many as of
    float32. torch's own product of int8 is slower than its product of bfloat16, and no bound; nor is that one where the
    machine has no instruction for it and float32 is the faster one.
    """
    if kind == torch.int8:
        return max(2 * product_speed(torch.bfloat16), 4 * product_speed(torch.float32))
    speed = _measured_speed(kind)
    return speed if kind == torch.float32 else max(speed, product_speed(torch.float32))


def _measured_speed(kind: torch.dtype) -> float:
    """Of the largest matrices whose product does not take longer than the measurement may."""
    side = SMALLEST
    while (taken := _milliseconds_of(kind, side, seconds=0)) * 8 < SECONDS * 1000 and side < SIDE:
        side *= 2
    return 2 * side**3 / min(taken, _milliseconds_of(kind, side, SECONDS)) * 1000


def _milliseconds_of(kind: torch.dtype, side: int, seconds: float) -> float:
    left, right = torch.ones(side, side, dtype=kind), torch.ones(side, side, dtype=kind)
    with torch.inference_mode():
        return milliseconds(lambda: left @ right, seconds)


@cache
def memory_speed() -> float:
    """Bytes a second that are read from memory, by as many threads as torch has."""
    numbers = torch.from_numpy(np.ones(COPIED // 4, dtype=np.float32))
    with torch.inference_mode():
        return COPIED / milliseconds(numbers.sum, SECONDS) * 1000
