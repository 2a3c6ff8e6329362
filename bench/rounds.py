"""Two sides by turns, and what their turns tell."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.row import LOWER, Contest

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
