"""One run, one readable TOML file; a key that the run does not know is refused.

A run that can be killed: its whole state in one file, replaced atomically.

Averages of weights: over the steps of a run, and between two states of it.

One optimisation step: backward, clip, update, schedule, average.
"""

import copy
import math
import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from imagetext.wire.errors import InvalidParameter
from training.processes import ALONE, Processes

Config = TypeVar("Config")


def read_config(kind: type[Config], file: Path, **overrides: Any) -> Config:
    """A dataclass filled from a TOML file; overrides that are not None win.

    Raises:
        InvalidParameter: the file is unreadable, has an unknown key, or a value of the wrong type.
    """
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidParameter(f"{file} is not a readable TOML file.") from error
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InvalidParameter(f"{file.name} has unknown keys: {', '.join(unknown)}.")
    for name, value in values.items():
        if type(value) is not type(known[name]) and not (type(value) is int and type(known[name]) is float):
            raise InvalidParameter(f"{file.name}: {name} must be of type {type(known[name]).__name__}.")
    return kind(**values | {name: value for name, value in overrides.items() if value is not None})


class Stateful(Protocol):
    """Modules, optimizers, schedules: whatever gives and takes its state."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoint:
    """Saves and restores the parts of a run, with the state of torch's random numbers.

    Every random choice of a run is drawn from torch's generator, so a resumed run goes on as if never stopped.
    """

    def __init__(self, file: Path, identity: str, **parts: Stateful) -> None:
        self.file = file
        self.identity = identity
        self.parts = parts

    def save(self, epoch: int) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in self.parts.items()}
        whole = {"identity": self.identity, "epoch": epoch, "random": torch.get_rng_state(), "parts": state}
        unfinished = self.file.with_suffix(".unfinished")
        torch.save(whole, unfinished)
        os.replace(unfinished, self.file)

    def restore(self) -> int:
        """The number of epochs done: 0 where there is no checkpoint of this very run."""
        if not self.file.exists():
            return 0
        whole = torch.load(self.file, map_location="cpu", weights_only=True)
        if whole["identity"] != self.identity:
            return 0
        for name, part in self.parts.items():
            part.load_state_dict(whole["parts"][name])
        torch.set_rng_state(whole["random"])
        return int(whole["epoch"])


Module = TypeVar("Module", bound=nn.Module)


class Average(Generic[Module]):
    """Follows the module: after n updates it forgets at most by `decay`, and faster at the start."""

    def __init__(self, module: Module, decay: float) -> None:
        self.module: Module = copy.deepcopy(module).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        keep = min(self.decay, self.updates / (self.updates + 10))
        for mine, theirs in zip(self.module.parameters(), module.parameters(), strict=True):
            mine.lerp_(theirs, 1 - keep)

    def state_dict(self) -> dict[str, object]:
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.module.load_state_dict(state["module"])  # type: ignore[arg-type]
        self.updates = int(state["updates"])  # type: ignore[call-overload]


@torch.no_grad()
def blend_weights(into: nn.Module, start: nn.Module, end: nn.Module, share: float) -> None:
    """Sets `into` to the line between two states of one run (Wortsman et al., "WiSE-FT", 2022)."""
    for mine, first, last in zip(into.parameters(), start.parameters(), end.parameters(), strict=True):
        mine.copy_(first + share * (last - first))


class Stepper:
    """Applies losses to a module; keeps its schedule and its average in step."""

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        schedule: LRScheduler,
        average: Average[Any],
        processes: Processes = ALONE,
        clip: float = 5.0,
    ) -> None:
        self.module = module
        self.optimizer = optimizer
        self.schedule = schedule
        self.average = average
        self.processes = processes
        self.clip = clip

    def step(self, loss: Tensor) -> float:
        """Returns the mean loss of all processes; one that is not finite is left out rather than spread into the
        weights."""
        value = self.processes.mean(loss.detach())
        self.optimizer.zero_grad(set_to_none=True)
        if math.isfinite(value):
            loss.backward()  # type: ignore[no-untyped-call]
            self.processes.average_gradients(self.module)
            nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
            self.optimizer.step()
        self.schedule.step()
        self.average.update(self.module)
        return value


def parameter_groups(*parts: tuple[nn.Module, float]) -> list[dict[str, Any]]:
    """For an optimizer: the parameters of each module that may change, with the module's learning rate."""
    groups = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate} for part, rate in parts]
    return [group for group in groups if group["params"]]


def rise_and_fall(step: int, steps: int, rise: float) -> float:
    """Factor of the rate at a step: it rises evenly in the first share `rise` of the steps, then falls evenly to 0."""
    top = rise * steps
    return (step + 1) / (top + 1) if step < top else (steps + 1 - step) / (steps + 1 - top)
