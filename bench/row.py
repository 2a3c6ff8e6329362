"""Where and how large a run measures.

What a measurement is made of: a row of the table, its two sides while it runs, and what came of it.
"""

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagetext.machine import usable_cores

if TYPE_CHECKING:
    from imagetext.engines import Engines
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Any

CACHE = Path(".cache/bench")


@dataclass(frozen=True)
class Setting:
    """`quick` is for the gate: fewer and shorter rounds, and smaller sizes in the rows that are not part of it."""

    quick: bool = False
    cache: Path = CACHE
    infinity: Path | None = None  # its virtual environment

    def sized(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def turn_s(self) -> float:
        """How long one side is measured at a time, in seconds."""
        return 0.3 if self.quick else 0.5

    @property
    def threads(self) -> int:
        """As many as torch takes: both sides get the same."""
        return int(os.environ.get("OMP_NUM_THREADS") or usable_cores())

    def folder(self, name: str) -> Path:
        """A folder of this run's cache, made if it is not there."""
        folder = self.cache / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def engine_folder(self, model: str) -> Path:
        return self.folder(f"engines/{model}")

    def engines(self, model: str, only: str | None = None) -> "Engines":
        """The engines of a model; what is exported is kept from run to run, what was chosen is not."""
        from imagetext.engines import Engines

        return Engines(self.engine_folder(model), only, self.threads)

    def chosen(self, model: str) -> str:
        """The engines that were chosen for the networks of a model, such as "pictures: openvino-f32"."""
        files = sorted(self.engine_folder(model).glob("choices/*.json"))
        choices = {file.name.removeprefix(f"{model}-").rpartition("-")[0]: _engine(file) for file in files}
        return ", ".join(f"{network}: {engine}" for network, engine in choices.items())

    def choose_anew(self) -> None:
        """Forget which engines were chosen: that may have been while the machine was busy."""
        for file in self.cache.glob("engines/*/choices/*.json"):
            file.unlink()


def _engine(file: Path) -> str:
    return str(json.loads(file.read_text())["engine"])


def quiet() -> None:
    """Before anything heavy is imported: neither progress bars nor advice between the lines of progress."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"})
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    warnings.simplefilter("ignore")  # exporters tell what they trace


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
