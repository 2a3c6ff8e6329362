"""Which kind of index a new version gets: the first in question that reaches the target of recall."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import InvalidParameter
from imagetext.index.candidates import Effort, faiss_path, make_candidates, open_candidates
from imagetext.index.kinds import FLAT, Plan, Wanted, plans
from imagetext.index.searcher import Searcher
from imagetext.index.tuning import Measured, Trial


@dataclass(frozen=True)
class Chosen:
    """`effort` and `factory` are those of the approximate kinds; flat has neither, and no index.faiss."""

    kind: str
    factory: str
    effort: Effort | None
    measured: Measured


def choose(
    folder: Path, vectors: NDArray[np.float32], wanted: Wanted, texts: NDArray[np.float32] | None = None
) -> Chosen:
    """Build index.faiss in `folder` if the kind has one, tune it and measure it.

    Args:
        vectors: (size, dimensions) float32, unit rows.
        texts: (n, dimensions) float32, unit rows: of texts as people may search for; None: tuned on pictures alone.

    Raises:
        InvalidParameter: no kind fits into the memory, or none that does reaches the target.
        IndexVersionError: the disk is full.
    """
    trial, best = Trial(vectors, texts), 0.0
    exact_speed = _rounded(trial.speed())
    possible = plans(wanted, *vectors.shape)
    for plan in possible:
        chosen, recall = _try(folder, vectors, plan, trial, wanted.target_recall, exact_speed)
        if chosen is not None:
            return chosen
        best = max(best, recall)
    kinds = " or ".join(plan.kind for plan in possible)
    raise InvalidParameter(
        f"No index reaches a recall of {wanted.target_recall:g}: {kinds} comes to {best:.3f}. "
        f"Ask for less recall, another kind, or allow more memory."
    )


def _try(
    folder: Path, vectors: NDArray[np.float32], plan: Plan, trial: Trial, target: float, exact_speed: float
) -> tuple[Chosen | None, float]:
    if plan.kind == FLAT:
        measured = Measured(1.0, exact_speed, exact_speed, vectors.nbytes)
        return Chosen(FLAT, "", None, measured), 1.0
    path = faiss_path(folder)
    make_candidates(path, plan, vectors)
    candidates = open_candidates(path, folder.name)
    effort, recall = trial.tune(candidates, target)
    if effort is None:
        os.unlink(path)
        return None, recall
    speed = trial.speed(Searcher(vectors, candidates, effort))
    measured = Measured(round(recall, 4), _rounded(speed), exact_speed, os.path.getsize(path))
    return Chosen(plan.kind, plan.factory, effort, measured), recall


def _rounded(number: float) -> float:
    """To three digits: more are chance."""
    return float(f"{number:.3g}")
