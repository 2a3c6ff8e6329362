"""One optimisation step: backward, clip, update, schedule, average."""

import math
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from training.average import Average
from training.processes import ALONE, Processes


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
