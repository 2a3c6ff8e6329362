"""FAISS at a million vectors: an inverted file searched in part, against exact search."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.row import Contest, Floor, Setting
from bench.timing import memory_speed, milliseconds

DIMENSIONS = 512
INNER = 64  # dimensions of the surface that the vectors lie near, as embeddings do
CENTRES = 2_000
NEIGHBOURS = 10
RECALL = 0.98
QUERIES = 500
CHUNK = 50_000
SEED = 5
AT_ONCE = 64
PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # cells searched
SPREAD, NOISE = 0.6, 0.05  # of a cluster, relative to its centre; and in all dimensions

Vectors = NDArray[np.float32]


@contextmanager
def million_vectors(setting: Setting) -> Iterator[Contest]:
    """Queries per second, one at a time as in a service; the details also have batches."""
    size, cells = setting.sized(1_000_000, 20_000), setting.sized(2_048, 64)
    source = Clusters()
    flat = faiss.IndexFlatIP(DIMENSIONS)
    for chunk in source.chunks(size):
        flat.add(chunk)
    queries = source.queries(QUERIES)
    fast = _cells(setting, flat, size, cells)
    tuned, recall = _tune(fast, flat, queries)
    one_fast, one_flat = cycle(queries[:, None]), cycle(queries[:, None])
    yield Contest(
        ours=lambda: _rate(fast, one_fast, setting.turn_s),
        rival=lambda: _rate(flat, one_flat, setting.turn_s),
        floor=lambda: _floor(fast, cells),
        details=lambda: {
            "size": size,
            "kind": f"IVF{cells},Flat",
            "tuned": tuned,
            "recall@10": recall,
            "in batches of 64": _batches(fast, flat, queries, setting.turn_s),
        },
    )


class Clusters:
    """Synthetic unit vectors: normal clusters on a surface of few dimensions, with some noise in all of them."""

    def __init__(self, seed: int = SEED) -> None:
        random = np.random.default_rng(seed)
        self.random = random
        self.centres = random.standard_normal((CENTRES, INNER), dtype=np.float32)
        basis, _ = np.linalg.qr(random.standard_normal((DIMENSIONS, INNER)))
        self.basis = np.ascontiguousarray(basis.T, dtype=np.float32)

    def draw(self, number: int, random: np.random.Generator) -> Vectors:
        """(number, DIMENSIONS) float32."""
        inner = self.centres[random.integers(0, CENTRES, number)]
        inner = inner + SPREAD * random.standard_normal((number, INNER), dtype=np.float32)
        vectors = inner @ self.basis + NOISE * random.standard_normal((number, DIMENSIONS), dtype=np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def chunks(self, size: int) -> Iterator[Vectors]:
        """`size` vectors in chunks: not every machine has memory for two copies."""
        for start in range(0, size, CHUNK):
            yield self.draw(min(CHUNK, size - start), self.random)

    def queries(self, number: int) -> Vectors:
        """Vectors of the same distribution that are not among the others."""
        return self.draw(number, np.random.default_rng(SEED + 1))


def _cells(setting: Setting, flat: Any, size: int, cells: int) -> Any:
    """The inverted file, trained and filled once; kept in the cache."""
    file = setting.folder("faiss") / f"ivf-{size}-{cells}.faiss"
    if file.exists():
        return faiss.read_index(str(file))
    index: Any = faiss.index_factory(DIMENSIONS, f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.cp.max_points_per_centroid = 64
    everything = faiss.rev_swig_ptr(flat.get_xb(), size * DIMENSIONS).reshape(size, DIMENSIONS)
    index.train(everything[: 64 * cells])
    for start in range(0, size, CHUNK):
        index.add(everything[start : start + CHUNK])
    unfinished = Path(f"{file}.unfinished")
    faiss.write_index(index, str(unfinished))
    unfinished.rename(file)
    return index


def _tune(index: Any, flat: Any, queries: Vectors) -> tuple[str, float]:
    """Set the fastest parameters with sufficient recall, found by FAISS's own exploration; returns them and the recall.

    Explored on the first half of the queries; the recall is measured on the other half.
    """
    half = len(queries) // 2
    scores, truth = flat.search(queries, NEIGHBOURS)
    criterion: Any = faiss.IntersectionCriterion(half, NEIGHBOURS)
    criterion.set_groundtruth(scores[:half], truth[:half])
    space: Any = faiss.ParameterSpace()
    space.verbose = False
    probes = space.add_range("nprobe")  # instead of `initialize`, which goes up to searching every cell
    for number in PROBES:
        probes.values.push_back(number)
    points = space.explore(index, queries[:half], criterion)
    for point in sorted(_points(points), key=lambda point: float(point.t)):
        if point.perf < RECALL:
            continue
        space.set_index_parameters(index, point.key)
        recall = _recall(index.search(queries[half:], NEIGHBOURS)[1], truth[half:])
        if recall >= RECALL:
            return str(point.key), recall
    raise ValueError(f"no setting of the index reaches a recall of {RECALL}")


def _points(points: Any) -> list[Any]:
    return [points.optimal_pts.at(place) for place in range(points.optimal_pts.size())]


def _recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    shared = [len(np.intersect1d(mine, theirs)) for mine, theirs in zip(found, truth, strict=True)]
    return float(np.mean(shared) / NEIGHBOURS)


def _rate(index: Any, queries: Iterator[Vectors], seconds: float) -> float:
    return 1000 / milliseconds(lambda: index.search(next(queries), NEIGHBOURS), seconds)


def _batches(fast: Any, flat: Any, queries: Vectors, seconds: float) -> dict[str, float]:
    """Queries per second in batches, where FAISS can use a matrix product."""
    batch = queries[:AT_ONCE]
    took = [milliseconds(partial(index.search, batch, NEIGHBOURS), seconds) for index in (fast, flat)]
    ours, rival = (1000 * AT_ONCE / each for each in took)
    return {"ours": ours, "rival": rival, "ratio": ours / rival}


def _floor(index: Any, cells: int) -> Floor:
    """The data read per query, at the speed of memory: all centres and the vectors of the searched cells."""
    searched = cells + index.nprobe * index.ntotal / cells
    read = searched * DIMENSIONS * 4
    return Floor(memory_speed() / read, f"{read / 1e6:.3g} MB a query at {memory_speed() / 1e9:.1f} GB/s, read here")
