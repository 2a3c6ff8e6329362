"""A run that can be killed: its whole state in one file, replaced atomically."""

import os
from pathlib import Path
from typing import Any, Protocol

import torch


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
