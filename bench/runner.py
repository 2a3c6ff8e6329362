"""Measures rows one after the other, the two sides of each interleaved; a failing row does not stop the others."""

import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from bench.row import LOWER, Contest, Floor, Missing, Result, Row, Setting

LEAST_AGREEMENT = 0.99  # of the two sides' results; below it they did not do the same work
QUICK_ROUNDS = 3
WARM_UP_ROUNDS = 1
Say = Callable[[str], object]


@dataclass(frozen=True)
class Rounds:
    """The values of both sides, round by round."""

    ours: tuple[float, ...]
    rival: tuple[float, ...]


def interleave(contest: Contest, number: int, done: Callable[[int], object] = lambda round_: None) -> Rounds:
    """Warm both sides up, then measure them interleaved, `number` rounds; `done` is called with each round's number."""
    for _ in range(WARM_UP_ROUNDS):
        contest.ours()
        contest.rival()
    ours, rival = [], []
    for finished in range(1, number + 1):
        ours.append(contest.ours())
        rival.append(contest.rival())
        done(finished)
    return Rounds(tuple(ours), tuple(rival))


def ratios(rounds: Rounds, unit: str, lower_is_better: bool = False) -> tuple[float, ...]:
    """How many times better we were in each round; with `lower_is_better`, our value over the rival's."""
    pairs = list(zip(rounds.ours, rounds.rival, strict=True))
    if lower_is_better or unit not in LOWER:
        return tuple(ours / rival for ours, rival in pairs)
    return tuple(rival / ours for ours, rival in pairs)


def interquartile(values: Sequence[float]) -> float:
    """The range of the middle half; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low


def measure(rows: Sequence[Row], setting: Setting, say: Say | None = None) -> Iterator[Result]:
    """Yields each result as soon as it is known, so that an interruption loses nothing measured."""
    say = say or _say
    for number, row in enumerate(rows, 1):
        say(f"[{number}/{len(rows)}] {row.work}\n")
        result = measured(row, setting, say)
        say(f"      {_summary(result)}\n")
        yield result
        gc.collect()  # free the models of this row before the next one loads its own


def measured(row: Row, setting: Setting, say: Say) -> Result:
    """The result of one row, even if it failed."""
    began = time.monotonic()
    try:
        found = _contested(row, setting, say)
    except Missing as missing:
        found = {"skipped": str(missing)}
    except Exception as error:  # whatever it is, it concerns this row only
        say(traceback.format_exc())
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    return Result(**_named(row), **found, seconds=time.monotonic() - began)


def _contested(row: Row, setting: Setting, say: Say) -> dict[str, Any]:
    number = min(row.rounds, setting.sized(row.rounds, QUICK_ROUNDS))
    with row.prepare(setting) as contest:
        if contest.same is not None and contest.same < LEAST_AGREEMENT:
            raise ValueError(f"the two sides agree only to {contest.same:.4f}")
        found = interleave(contest, number, lambda done: say(f"\r      round {done} of {number} "))
        say("\r")
        return _outcome(row, contest, found)


def _outcome(row: Row, contest: Contest, rounds: Rounds) -> dict[str, Any]:
    each = ratios(rounds, row.unit, row.lower_is_better)
    ours = median(rounds.ours)
    outcome: dict[str, Any] = {
        "ratio": median(each),
        "ours": ours,
        "rival_value": median(rounds.rival),
        "spread": interquartile(each),
        "ratios": each,
        "same": contest.same,
        "engine": contest.engine,
        "details": dict(contest.details()),
    }
    return outcome | (_floor(contest.floor(), ours, row.unit) if contest.floor else {})


def _floor(floor: Floor, ours: float, unit: str) -> dict[str, Any]:
    distance = ours / floor.value if unit in LOWER else floor.value / ours
    return {"floor": floor.value, "floor_is": floor.what, "from_floor": distance}


def _named(row: Row) -> dict[str, Any]:
    names = ("name", "work", "rival", "unit", "threshold", "target", "lower_is_better")
    return {name: getattr(row, name) for name in names}


def _summary(result: Result) -> str:
    if result.ratio is None:
        return f"skipped: {result.skipped}" if result.skipped else f"failed: {result.error}"
    values = f"{result.ours:.4g} against {result.rival_value:.4g} {result.unit}"
    return f"ratio {result.ratio:.2f} ± {result.spread or 0:.2f} ({values}), {result.seconds:.0f} s"


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
