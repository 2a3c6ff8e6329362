"""Search settings and what they give, measured against exact search on queries that the index does not hold.

Which kind of index a new version gets: the first in question that reaches the target of recall.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.index.candidates import Candidates, Effort, faiss_path, make_candidates, open_candidates
from imagetext.index.kinds import FLAT, Plan, Wanted, plans
from imagetext.index.searcher import SHALLOW, Searcher
from imagetext.wire.errors import InvalidParameter

NEIGHBOURS = 10  # whose recall is asked for and reported
QUERIES = 128  # of each sort
STRAY = 0.5  # at most: how far a query is drawn from its vector towards another, as a part of the way

_SEED = 2
_PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_CANDIDATES = (256, 512, 1024, 2048)
_SECONDS = 0.5  # for each measurement of speed
_ROUNDING = 1e-6  # between two ways to sum up the same products


@dataclass(frozen=True)
class Measured:
    """Means over queries that had no part in the tuning, one query at a time. `recall` is the part of the 10 nearest
    that was found, for the sort of queries that fares worst; `exact_queries_per_second` is the speed of exact search on
    the same machine at the same time, `memory_bytes` what searches read all over, and is to stay in memory."""

    recall: float
    queries_per_second: float
    exact_queries_per_second: float
    memory_bytes: int


@dataclass(frozen=True)
class _Truth:
    """Queries (n, dimensions) of one sort, and the scores (n, depth) of the nearest of each, best first."""

    queries: NDArray[np.float32]
    scores: NDArray[np.float32]

    def half(self, which: int) -> "_Truth":
        return _Truth(np.ascontiguousarray(self.queries[which::2]), self.scores[which::2])

    def recalls(self, searcher: Searcher) -> tuple[float, float]:
        """The parts of the 10 nearest, and of as many as an approximate search gives at most, that are found.

        Pictures that look the same score the same, so scores are counted, not rows.
        """
        found, _ = searcher.search(self.queries, self.scores.shape[1])
        first, deep = (
            float((found[:, :depth] >= self.scores[:, :depth][:, -1:] - _ROUNDING).mean())
            for depth in (NEIGHBOURS, self.scores.shape[1])
        )
        return first, deep


class Trial:
    """Held-out queries for a collection: vectors drawn from it and perturbed, and those of texts if there are any."""

    def __init__(self, vectors: NDArray[np.float32], texts: NDArray[np.float32] | None = None) -> None:
        self._vectors = vectors
        self._depth = min(SHALLOW, len(vectors))
        self._exact = Searcher(vectors, None, None)
        sorts = [_perturbed(vectors), *([] if texts is None or not len(texts) else [texts])]
        self._sorts = [self._truth(np.ascontiguousarray(sort, dtype=np.float32)) for sort in sorts]

    def tune(self, candidates: Candidates, target: float) -> tuple[Effort | None, float]:
        """The effort of least work that reaches the target for each sort of query, and its recall on queries that had
        no part in the choice; no effort and the best recall when none does.

        The target must be reached in the 10 nearest and as deep as the answers are approximate, so that they go over
        into exact ones without a break.
        """
        best = 0.0
        for effort in self._reaching(candidates, target):
            first, deep = self._recalls(Searcher(self._vectors, candidates, effort), which=1)
            if min(first, deep) >= target:
                return effort, first
            best = max(best, min(first, deep))
        return None, best

    def speed(self, searcher: Searcher | None = None) -> float:
        """Queries a second, one at a time; of exact search when no searcher is given."""
        searcher = searcher or self._exact
        queries = cycle(np.concatenate([truth.half(1).queries for truth in self._sorts])[:, None])
        searcher.search(next(queries), min(NEIGHBOURS, self._depth))  # the first one reads from the disk
        done, start = 0, time.perf_counter()
        for query in islice(queries, 500):
            searcher.search(query, min(NEIGHBOURS, self._depth))
            done += 1
            if time.perf_counter() - start > _SECONDS:
                break
        return done / (time.perf_counter() - start)

    def _truth(self, queries: NDArray[np.float32]) -> _Truth:
        # one at a time, as a search has it: matrix products round otherwise
        return _Truth(queries, np.concatenate([self._exact.search(query[None], self._depth)[0] for query in queries]))

    def _reaching(self, candidates: Candidates, target: float) -> Iterator[Effort]:
        """Efforts that reach the target on the first half of the queries, and then ever more of the best."""
        firsts = [self._least(candidates, number, target) for number in _numbers(len(self._vectors))]
        reaching = sorted((each for each in firsts if each is not None), key=candidates.work)
        yield from reaching[:1]
        most = reaching[0] if reaching else Effort(_PROBES[0], _CANDIDATES[-1])
        probes = [each for each in _PROBES if each > most.probes]
        yield from (Effort(each, most.candidates) for each in (probes if reaching else probes[-1:]))

    def _least(self, candidates: Candidates, number: int, target: float) -> Effort | None:
        """The fewest probes that will do with so many candidates, found by halving: recall rises with them."""
        low, high = 0, len(_PROBES)
        while low < high:
            middle = (low + high) // 2
            searcher = Searcher(self._vectors, candidates, Effort(_PROBES[middle], number))
            if min(self._recalls(searcher, which=0)) >= target:
                high = middle
            else:
                low = middle + 1
        return Effort(_PROBES[low], number) if low < len(_PROBES) else None

    def _recalls(self, searcher: Searcher, which: int) -> tuple[float, float]:
        """Of the sort of queries that fares worst."""
        firsts, deeps = zip(*(truth.half(which).recalls(searcher) for truth in self._sorts), strict=True)
        return min(firsts), min(deeps)


def _numbers(size: int) -> list[int]:
    return [number for number in _CANDIDATES if number < size] or [_CANDIDATES[0]]


def _perturbed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Up to QUERIES unit vectors between two of the collection: near to its surface, where queries lie, and never on
    a vector itself."""
    random = np.random.default_rng(_SEED)
    number = min(QUERIES, 2 * len(vectors))
    own, other = (vectors[random.integers(0, len(vectors), number)] for _ in range(2))
    part = random.uniform(0.1, STRAY, (number, 1)).astype(np.float32)
    mixed = (1 - part) * own + part * other
    unit: NDArray[np.float32] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit


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
