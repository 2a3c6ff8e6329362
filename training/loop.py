"""The parts that every training loop is made of: settings from a TOML file, a checkpoint of the whole run, averaged
weights, and one optimisation step.
"""

import copy
import hashlib
import json
import math
import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from imagetext.wire.errors import InvalidParameter
from training.processes import ALONE, Processes

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)
Schedule = Callable[[Optimizer], LRScheduler]
Groups = list[dict[str, Any]]


def read_config(kind: type[Config], file: Path, **overrides: Any) -> Config:
    """A dataclass filled from a TOML file; overrides that are not None win.

    Raises:
        InvalidParameter: the file is unreadable, or has an unknown key or a value of the wrong type.
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
    """Modules, optimizers, schedules: anything whose state can be saved and loaded."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoint:
    """Saves and restores the parts of a run and the state of torch's generator, atomically in one file.

    All random numbers of a run come from torch's generator, so a resumed run continues as if never interrupted.
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
        """The number of finished epochs; 0 if there is no checkpoint of a run with this identity."""
        if not self.file.exists():
            return 0
        whole = torch.load(self.file, map_location="cpu", weights_only=True)
        if whole["identity"] != self.identity:
            return 0
        for name, part in self.parts.items():
            part.load_state_dict(whole["parts"][name])
        torch.set_rng_state(whole["random"])
        return int(whole["epoch"])


class Average(Generic[Module]):
    """A running average of a module's weights with the given decay, faster in the first updates."""

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
    """Sets `into` to a point between two states of one run, `share` of the way (Wortsman et al., 2022, "WiSE-FT")."""
    for mine, first, last in zip(into.parameters(), start.parameters(), end.parameters(), strict=True):
        mine.copy_(first + share * (last - first))


class Stepper:
    """One optimisation step: backward, clip, update, schedule, average."""

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
        """Returns the mean loss over all processes. If it is not finite, the weights are left as they are."""
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


def parameter_groups(*parts: tuple[nn.Module, float]) -> Groups:
    """For an optimizer: the trainable parameters of each module with its learning rate."""
    groups = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate} for part, rate in parts]
    return [group for group in groups if group["params"]]


def one_cycle(steps: int, rise: float = 0.15) -> Schedule:
    """Every group's rate rises to its peak in the share `rise` of the steps, and falls (Smith and Topin, 2018)."""
    return lambda optimizer: OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps, pct_start=rise
    )


class Fit(Generic[Module]):
    """A network under training, with its optimizer, schedule, running average and checkpoint."""

    def __init__(
        self,
        network: Module,
        groups: Groups,
        schedule: Schedule,
        file: Path,
        identity: str,
        *,
        weight_decay: float,
        average: float,
        processes: Processes = ALONE,
        **more: Stateful,
    ) -> None:
        """`more` is kept in the checkpoint too."""
        self.average: Average[Module] = Average(network, average)
        self.optimizer = AdamW(groups, weight_decay=weight_decay)
        self.schedule = schedule(self.optimizer)
        self.stepper = Stepper(network, self.optimizer, self.schedule, self.average, processes)
        parts: dict[str, Stateful] = {"network": network, "average": self.average}
        parts |= {"optimizer": self.optimizer, "schedule": self.schedule, **more}
        self.checkpoint = Checkpoint(file, identity, **parts)


def identity_of(config: Any, sources: Sequence[object], ignored: frozenset[str] = frozenset()) -> str:
    """Tells runs apart by their settings, a dataclass, and what they start from: only the same run is resumed."""
    settings = {name: value for name, value in asdict(config).items() if name not in ignored}
    whole = {"settings": settings, "sources": [str(source) for source in sources]}
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()
