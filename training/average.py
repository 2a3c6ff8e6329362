"""Averages of weights: over the steps of a run, and between two states of it."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

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
