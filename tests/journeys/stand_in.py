"""The retrieval service with an encoder that needs no weights: what is tried is how pictures come and go."""

import math

import numpy as np

from services.chassis.serve import serve
from services.retrieval.app import create_app
from services.retrieval.settings import Settings
from tests.indexer.fake_encoder import FakeEncoder


class StandIn(FakeEncoder):
    def best_batch(self, kind: str) -> int | None:
        return None  # nobody measured

    def seconds_alone(self, kind: str) -> float:
        return math.inf

    def relevance(self, query: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return (scores + 1) / 2


if __name__ == "__main__":
    serve("retrieval", Settings, lambda settings: create_app(settings, load=lambda _: StandIn()))
