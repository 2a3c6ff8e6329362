"""Where and how large a run measures."""

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagetext.cores import usable_cores

if TYPE_CHECKING:
    from imagetext.engines import Engines

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
