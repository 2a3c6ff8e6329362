"""What a measurement is made of: a row of the table, its two sides while it runs, and what came of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from bench.setting import Setting

LOWER = ("ms",)  # units of which less is better


@dataclass(frozen=True)
class Floor:
    """What no implementation goes below on this machine, in the unit of the row, and what sets it."""

    value: float
    what: str


@dataclass(frozen=True)
class Contest:
    """Both sides, ready to be measured by turns.

    Attributes:
        ours: one turn; gives a value in the unit of the row.
        rival: as `ours`.
        floor: asked after the last round.
        same: how well both agree on the same input, 1 at best; None where it cannot be told.
        engine: what runs our side.
        details: told after the last round; anything that JSON takes.
    """

    ours: Callable[[], float]
    rival: Callable[[], float]
    floor: Callable[[], Floor] | None = None
    same: float | None = None
    engine: str | None = None
    details: Callable[[], Mapping[str, Any]] = dict


class Missing(Exception):
    """A row needs what is not on this machine; it is skipped, which is no failure."""


@dataclass(frozen=True)
class Row:
    """A line of the table. `prepare` raises `Missing` where it cannot be measured here.

    The ratio says how many times better ours is; with `lower_is_better` it is our time in the rival's.
    """

    name: str
    work: str
    rival: str
    unit: str
    threshold: float
    target: float | None
    prepare: Callable[[Setting], AbstractContextManager[Contest]]
    gate: bool = False  # part of the quick subset
    lower_is_better: bool = False
    rounds: int = 7


@dataclass(frozen=True)
class Result:
    """What came of a row; `ratio` is None where it was skipped or failed."""

    name: str
    work: str
    rival: str
    unit: str
    threshold: float
    target: float | None
    lower_is_better: bool = False
    ratio: float | None = None
    ours: float | None = None
    rival_value: float | None = None
    spread: float | None = None  # interquartile range of the ratios of the rounds
    ratios: tuple[float, ...] = ()
    floor: float | None = None
    floor_is: str | None = None
    from_floor: float | None = None  # how many times worse than the floor ours is
    same: float | None = None
    engine: str | None = None
    error: str | None = None
    skipped: str | None = None
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """How many times better ours is, whichever way the ratio is told."""
        if self.ratio is None:
            return None
        return 1 / self.ratio if self.lower_is_better else self.ratio

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the threshold."""
        if self.ratio is None:
            return False
        return self.ratio <= self.threshold if self.lower_is_better else self.ratio >= self.threshold
