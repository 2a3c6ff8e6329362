"""The best weights so far, and when to stop looking for better ones."""

import copy
from typing import Any

from torch import nn


class EarlyStop:
    """Keeps the weights of the pass with the best dev score; `patience` passes without a better one are enough."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = float("-inf")
        self.waited = 0
        self.weights: dict[str, Any] = {}

    def see(self, score: float, module: nn.Module) -> None:
        if score > self.best:
            self.best, self.waited = score, 0
            self.weights = copy.deepcopy(module.state_dict())
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.weights = state["best"], state["waited"], state["weights"]
