"""Measures rows, one after the other; what fails in one stops none of the others."""

import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from bench.rounds import Turns, interquartile, play, ratios
from bench.row import LOWER, Contest, Floor, Missing, Result, Row, Setting

LEAST_AGREEMENT = 0.99  # of the two sides' answers: below it they did not do the same work
QUICK_ROUNDS = 3
Say = Callable[[str], object]


def measure(rows: Sequence[Row], setting: Setting, say: Say | None = None) -> Iterator[Result]:
    """A result for each row as soon as it is there, so that an interruption leaves what was measured."""
    say = say or _say
    for number, row in enumerate(rows, 1):
        say(f"[{number}/{len(rows)}] {row.work}\n")
        result = measured(row, setting, say)
        say(f"      {_summary(result)}\n")
        yield result
        gc.collect()  # the models of one row leave before those of the next come


def measured(row: Row, setting: Setting, say: Say) -> Result:
    """The result of one row, also where it failed."""
    began = time.monotonic()
    try:
        found = _contested(row, setting, say)
    except Missing as missing:
        found = {"skipped": str(missing)}
    except Exception as error:  # whatever it is, it is this row's
        say(traceback.format_exc())
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    return Result(**_named(row), **found, seconds=time.monotonic() - began)


def _contested(row: Row, setting: Setting, say: Say) -> dict[str, Any]:
    rounds = min(row.rounds, setting.sized(row.rounds, QUICK_ROUNDS))
    with row.prepare(setting) as contest:
        if contest.same is not None and contest.same < LEAST_AGREEMENT:
            raise ValueError(f"both sides agree only to {contest.same:.4f}")
        turns = play(contest, rounds, lambda number: say(f"\r      round {number} of {rounds} "))
        say("\r")
        return _outcome(row, contest, turns)


def _outcome(row: Row, contest: Contest, turns: Turns) -> dict[str, Any]:
    each = ratios(turns, row.unit, row.lower_is_better)
    ours = median(turns.ours)
    outcome: dict[str, Any] = {
        "ratio": median(each),
        "ours": ours,
        "rival_value": median(turns.rival),
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
