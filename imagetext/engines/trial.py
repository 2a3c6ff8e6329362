"""Tries an engine: whether it agrees with torch, and how long it takes alone and in batches."""

import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np

from imagetext.engines.network import Array, Network, Run

PROMISED = 0.999  # cosine of every row with torch's
# Half of that error is allowed on the few trial inputs: the worst of thousands of inputs is further off.
AT_START = 1 - (1 - PROMISED) / 2
SECONDS = 0.15  # of measuring per engine
SIZES = (4, 8, 16, 32)  # measured batch sizes
CALLS = 2  # at least, per size after a warm-up call; and per engine in each round
LEAST_TURNS, MOST_TURNS = 2, 50
EACH_S = 0.1  # of calls per size, unless CALLS take longer
SIZES_S = 0.6  # in total: no size is started that would exceed it
AROUND_S = 0.0003  # overhead of a batch: collecting it, handing it to a thread, distributing results
WORTH = 0.95  # of the best rate: a smaller batch that reaches it answers sooner


def disagreement(run: Run, network: Network) -> str | None:
    """How an engine differs from torch on the network's cases by more than allowed; None if it agrees."""
    for inputs, expected in network.cases:
        found = run(*inputs)
        if [one.shape for one in found] != [one.shape for one in expected]:
            return "its outputs have other shapes"
        if (cosine := _lowest_cosine(found, expected)) < AT_START:
            return f"cosine {cosine:.5f}, at least {AT_START} is needed"
        if network.tolerance is not None:
            largest = float(np.abs(found[0] - expected[0]).max(initial=0.0))
            if not largest <= network.tolerance:  # NaN fails this too
                return f"off by {largest:.4f}, at most {network.tolerance} is allowed"
    return None


def _lowest_cosine(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """Over all rows of floating-point outputs; integer outputs may differ where two values are nearly level."""
    pairs = zip(found, expected, strict=True)
    return min(
        (_cosine(mine, theirs) for mine, theirs in pairs if theirs.size and np.issubdtype(theirs.dtype, np.floating)),
        default=1.0,
    )


def _cosine(mine: Array, theirs: Array) -> float:
    """The lowest of all rows; minus infinity if there is a NaN."""
    mine, theirs = (each.reshape(len(each), -1).astype(np.float64) for each in (mine, theirs))
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.nan_to_num((mine * theirs).sum(1) / np.maximum(lengths, 1e-12), nan=-np.inf).min())


def seconds_of_a_call(run: Run, inputs: Sequence[Array], least: int = 3, seconds: float = SECONDS) -> float:
    """Seconds of the fastest of at least `least` calls."""
    found: list[float] = []
    run(*inputs)
    began = time.perf_counter()
    while len(found) < least or (len(found) < 50 and time.perf_counter() - began < seconds):
        start = time.perf_counter()
        run(*inputs)
        found.append(time.perf_counter() - start)
    return min(found)


def interleaved_seconds(runs: Mapping[str, Run], inputs: Sequence[Array]) -> dict[str, float]:
    """Median seconds of a call of each, interleaved: what slows the machine for a while slows all of them."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for turn in range(MOST_TURNS):
        if turn >= LEAST_TURNS and time.perf_counter() - began > SECONDS * len(runs):
            break
        for name, run in runs.items():
            for _ in range(CALLS):
                start = time.perf_counter()
                run(*inputs)
                found[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in found.items()}


def seconds_by_size(run: Run, network: Network, alone: float) -> dict[int, float]:
    """Seconds per batch, by batch size; `alone` is the time of a single example.

    Sizes that would take too long to measure are left out.
    """
    found = {1: alone}
    began = time.perf_counter()
    for size in SIZES:
        last = max(found)
        expected = (CALLS + 1) * found[last] * size / last
        if time.perf_counter() - began + expected > SIZES_S:
            break
        found[size] = seconds_of_a_call(run, batch_of(network, size), CALLS, EACH_S)
    return found


def batch_of(network: Network, size: int) -> list[Array]:
    """The network's inputs, `size` times in one batch."""
    return [np.concatenate([each] * size) for each in network.inputs]


def best_size(seconds: Mapping[int, float]) -> int | None:
    """The smallest batch with nearly the best rate; None if there is nothing to choose from."""
    if len(seconds) < 2:
        return None
    rates = {size: size / (took + AROUND_S) for size, took in seconds.items()}
    return min(size for size, rate in rates.items() if rate >= WORTH * max(rates.values()))


def joined(first: Mapping[int, float], second: Mapping[int, float], times: int) -> dict[int, float]:
    """Seconds of one call of the first and `times` calls of the second, for sizes measured for both."""
    return {size: first[size] + times * second[size] for size in sorted(first.keys() & second.keys())}
