"""What a measurement is made of: the setting of a run, a row, the contest of its two sides, and the result."""

import json
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetext.machine import usable_cores

if TYPE_CHECKING:
    from imagetext.engines import Engines

CACHE = Path(".cache/bench")
LOWER = ("ms",)  # units in which less is better


@dataclass(frozen=True)
class Setting:
    """How a run measures. `quick` is for the gate: fewer, shorter rounds; smaller sizes in rows outside the gate."""

    quick: bool = False
    cache: Path = CACHE
    infinity: Path | None = None  # virtual environment with infinity_emb

    def sized(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def turn_s(self) -> float:
        """Seconds that one side is measured at a time."""
        return 0.3 if self.quick else 0.5

    @property
    def threads(self) -> int:
        """As many as torch uses; both sides get the same."""
        return int(os.environ.get("OMP_NUM_THREADS") or usable_cores())

    def folder(self, name: str) -> Path:
        """A folder in this run's cache, created if missing."""
        folder = self.cache / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def engine_folder(self, model: str) -> Path:
        return self.folder(f"engines/{model}")

    def engines(self, model: str, only: str | None = None) -> "Engines":
        """The engines of a model; exports are kept from run to run, choices are not."""
        from imagetext.engines import Engines

        return Engines(self.engine_folder(model), only, self.threads)

    def chosen(self, model: str) -> str:
        """The engines chosen for the networks of a model, such as "pictures: openvino-f32"."""
        files = sorted(self.engine_folder(model).glob("choices/*.json"))
        choices = {file.name.removeprefix(f"{model}-").rpartition("-")[0]: _engine(file) for file in files}
        return ", ".join(f"{network}: {engine}" for network, engine in choices.items())

    def choose_anew(self) -> None:
        """Forget the chosen engines: the machine may have been busy when they were chosen."""
        for file in self.cache.glob("engines/*/choices/*.json"):
            file.unlink()


def _engine(file: Path) -> str:
    return str(json.loads(file.read_text())["engine"])


def quiet() -> None:
    """Silence progress bars and warnings of libraries; call before anything heavy is imported."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"})
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    warnings.simplefilter("ignore")  # exporters report what they trace


@dataclass(frozen=True)
class Floor:
    """A bound that no implementation can beat on this machine, in the unit of the row, and what sets it."""

    value: float
    what: str


@dataclass(frozen=True)
class Contest:
    """Both sides, ready to be measured interleaved.

    Attributes:
        ours: one measurement, in the unit of the row.
        rival: as `ours`.
        floor: called after the last round.
        same: agreement of both sides on the same input, 1 at best; None if it cannot be told.
        engine: what runs our side.
        details: called after the last round; any JSON value.
    """

    ours: Callable[[], float]
    rival: Callable[[], float]
    floor: Callable[[], Floor] | None = None
    same: float | None = None
    engine: str | None = None
    details: Callable[[], Mapping[str, Any]] = dict


class Missing(Exception):
    """A row needs something that this machine lacks; it is skipped, which is not a failure."""


@dataclass(frozen=True)
class Row:
    """A line of the table. `prepare` raises `Missing` if it cannot be measured here.

    The ratio says how many times better we are; with `lower_is_better` it is our time over the rival's.
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
    """The result of a row; `ratio` is None if it was skipped or failed."""

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
    from_floor: float | None = None  # how many times worse than the floor we are
    same: float | None = None
    engine: str | None = None
    error: str | None = None
    skipped: str | None = None
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """How many times better we are, whichever way the ratio is expressed."""
        if self.ratio is None:
            return None
        return 1 / self.ratio if self.lower_is_better else self.ratio

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the threshold."""
        if self.ratio is None:
            return False
        return self.ratio <= self.threshold if self.lower_is_better else self.ratio >= self.threshold
