"""Which kind of index a new version gets: the first plan that reaches the target recall with the least work.

Recall is measured against exact search, on queries that the index does not hold.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.index.kinds import FLAT, Effort, IndexOptions, Measured, Plan, plans
from imagetext.index.vector_search import SHALLOW, Candidates, Searcher, faiss_path, make_candidates, open_candidates
from imagetext.wire.errors import InvalidParameter

NEIGHBOURS = 10  # the recall among these is the target, and is reported
QUERIES = 128  # of each type
MAX_SHIFT = 0.5  # how far a query lies on the way from one vector to another, at most

_SEED = 2
_PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_CANDIDATES = (256, 512, 1024, 2048)
_SECONDS = 0.5  # for each measurement of speed
_ROUNDING = 1e-6  # between two ways to sum up the same products


@dataclass(frozen=True)
class Chosen:
    """`effort` and `factory` are those of the approximate kinds; flat has neither, and no index.faiss."""

    kind: str
    factory: str
    effort: Effort | None
    measured: Measured


def choose(
    folder: Path, vectors: NDArray[np.float32], options: IndexOptions, texts: NDArray[np.float32] | None = None
) -> Chosen:
    """Build index.faiss in `folder` if the kind has one, tune it and measure it.

    Args:
        vectors: (size, dimensions) float32, unit rows.
        texts: (n, dimensions) float32, unit rows: texts such as people may search for; None: tuned on pictures only.

    Raises:
        InvalidParameter: no kind fits into the memory, or none of those that fit reaches the target.
        IndexVersionError: the disk is full.
    """
    trial, best = Trial(vectors, texts), 0.0
    exact_speed = _rounded(trial.speed())
    possible = plans(options, *vectors.shape)
    for plan in possible:
        chosen, recall = _try(folder, vectors, plan, trial, options.target_recall, exact_speed)
        if chosen is not None:
            return chosen
        best = max(best, recall)
    kinds = " or ".join(plan.kind for plan in possible)
    raise InvalidParameter(
        f"No index reaches a recall of {options.target_recall:g}: {kinds} reaches {best:.3f}. "
        f"Ask for less recall or another kind, or allow more memory."
    )


def _try(
    folder: Path, vectors: NDArray[np.float32], plan: Plan, trial: "Trial", target: float, exact_speed: float
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


class Trial:
    """Held-out queries for a collection: mixtures of its vectors, and texts if there are any."""

    def __init__(self, vectors: NDArray[np.float32], texts: NDArray[np.float32] | None = None) -> None:
        self._vectors = vectors
        self._depth = min(SHALLOW, len(vectors))
        self._exact = Searcher(vectors)
        types = [_mixtures(vectors), *([] if texts is None or not len(texts) else [texts])]
        self._types = [self._truth(np.ascontiguousarray(each, dtype=np.float32)) for each in types]

    def tune(self, candidates: Candidates, target: float) -> tuple[Effort | None, float]:
        """The effort with the least work that reaches the target for each type of query, and its recall on queries that
        had no part in the choice; no effort and the best recall if none does.

        The target must be reached among the 10 nearest and among the `SHALLOW` nearest, so that recall does not jump
        where the answers become exact.
        """
        best = 0.0
        for effort in self._reaching(candidates, target):
            nearest, deep = self._recalls(Searcher(self._vectors, candidates, effort), half=1)
            if min(nearest, deep) >= target:
                return effort, nearest
            best = max(best, min(nearest, deep))
        return None, best

    def speed(self, searcher: Searcher | None = None) -> float:
        """Queries per second, one at a time; of exact search without a searcher."""
        searcher = searcher or self._exact
        queries = cycle(np.concatenate([truth.half(1).queries for truth in self._types])[:, None])
        searcher.search(next(queries), min(NEIGHBOURS, self._depth))  # the first one reads from the disk
        done, start = 0, time.perf_counter()
        for query in islice(queries, 500):
            searcher.search(query, min(NEIGHBOURS, self._depth))
            done += 1
            if time.perf_counter() - start > _SECONDS:
                break
        return done / (time.perf_counter() - start)

    def _truth(self, queries: NDArray[np.float32]) -> "_Truth":
        # One at a time, as in a search: products of whole matrices round differently.
        return _Truth(queries, np.concatenate([self._exact.search(query[None], self._depth)[0] for query in queries]))

    def _reaching(self, candidates: Candidates, target: float) -> Iterator[Effort]:
        """The cheapest effort that reaches the target on the first half of the queries, then ever more probes."""
        counts = [count for count in _CANDIDATES if count < len(self._vectors)] or [_CANDIDATES[0]]
        found = [self._fewest_probes(candidates, count, target) for count in counts]
        reaching = sorted((each for each in found if each is not None), key=candidates.work)
        yield from reaching[:1]
        cheapest = reaching[0] if reaching else Effort(_PROBES[0], _CANDIDATES[-1])
        more = [probes for probes in _PROBES if probes > cheapest.probes]
        yield from (Effort(probes, cheapest.candidates) for probes in (more if reaching else more[-1:]))

    def _fewest_probes(self, candidates: Candidates, count: int, target: float) -> Effort | None:
        """The fewest probes that suffice with `count` candidates, by bisection: recall rises with the probes."""
        low, high = 0, len(_PROBES)
        while low < high:
            middle = (low + high) // 2
            searcher = Searcher(self._vectors, candidates, Effort(_PROBES[middle], count))
            if min(self._recalls(searcher, half=0)) >= target:
                high = middle
            else:
                low = middle + 1
        return Effort(_PROBES[low], count) if low < len(_PROBES) else None

    def _recalls(self, searcher: Searcher, half: int) -> tuple[float, float]:
        """Those of the type of query with the lowest recall."""
        nearest, deep = zip(*(truth.half(half).recalls(searcher) for truth in self._types), strict=True)
        return min(nearest), min(deep)


@dataclass(frozen=True)
class _Truth:
    """Queries (n, dimensions) of one type, and the scores (n, depth) of the nearest of each, best first."""

    queries: NDArray[np.float32]
    scores: NDArray[np.float32]

    def half(self, which: int) -> "_Truth":
        return _Truth(np.ascontiguousarray(self.queries[which::2]), self.scores[which::2])

    def recalls(self, searcher: Searcher) -> tuple[float, float]:
        """Recall among the 10 nearest, and among all of `scores`.

        Pictures that look the same score the same, so scores are counted, not rows.
        """
        found, _ = searcher.search(self.queries, self.scores.shape[1])
        nearest, deep = (
            float((found[:, :depth] >= self.scores[:, :depth][:, -1:] - _ROUNDING).mean())
            for depth in (NEIGHBOURS, self.scores.shape[1])
        )
        return nearest, deep


def _mixtures(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Up to QUERIES unit vectors between two of the collection: near its surface, where queries lie, and never equal to
    one of its vectors."""
    random = np.random.default_rng(_SEED)
    count = min(QUERIES, 2 * len(vectors))
    own, other = (vectors[random.integers(0, len(vectors), count)] for _ in range(2))
    shift = random.uniform(0.1, MAX_SHIFT, (count, 1)).astype(np.float32)
    mixed = (1 - shift) * own + shift * other
    unit: NDArray[np.float32] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return unit


def _rounded(speed: float) -> float:
    """To three digits: more are noise."""
    return float(f"{speed:.3g}")
