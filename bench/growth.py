"""How cost grows with the size of the index, callers, replicas and pictures per request: `python -m bench growth`."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from tqdm import tqdm

from bench.chart import Curve, growth_chart
from bench.load import upload
from bench.machine import describe, warn_if_busy
from bench.processes import load
from bench.row import Setting
from bench.rows.captions import GRU, VIT_BERT, caption_service
from bench.rows.pictures import scenes
from bench.rows.search_service import replicated_search, search_system
from bench.rows.vector_search import CHUNK, DIMENSIONS, Clusters, Vectors
from bench.timing import milliseconds

CALLERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PICTURES = (1, 2, 4, 8, 16)
REPLICAS = 4
AT_REPLICAS = 16  # callers
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
HITS, NEIGHBOURS = 12, 10
CODE, ID = 64, 8  # bytes
LEAST_CODED, LEAST_TRAINED = 100_000, 10_000  # vectors
CODED_QUERIES = 100
PROBES = 16  # cells searched
LEAST_CELLS, TRAINED_WITH = 64, 40  # vectors for each cell
SPARE = 2  # an index may take one part in this many of the free memory
INTERRUPTED = 130


Measure = Callable[[Curve, Setting], None]


def grow(setting: Setting, out: Path) -> int:
    """Measure all curves; writes them as JSON with a chart beside it. Returns the exit status."""
    return measure_all(curves(), setting, out)


def measure_all(curves: Sequence[tuple[Curve, Measure]], setting: Setting, out: Path) -> int:
    """As `grow`, for these curves. A failing curve does not stop the others; an interrupted run replaces no report."""
    machine, begun, status = describe(), list[Curve](), 0
    warn_if_busy(machine)
    try:
        for curve, measure in curves:
            begun.append(curve)
            sys.stderr.write(f"{curve.title}\n")
            status = max(status, _measured(curve, measure, setting))
    except KeyboardInterrupt:
        status, unchanged, out = INTERRUPTED, out, setting.cache / out.with_suffix(".partial.json").name
        sys.stderr.write(f"\nInterrupted: the results so far are in {out}; {unchanged} is unchanged.\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine, "curves": [asdict(curve) for curve in begun]}
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".svg").write_text(growth_chart(begun), encoding="utf-8")
    return status


def _measured(curve: Curve, measure: Measure, setting: Setting) -> int:
    try:
        measure(curve, setting)
    except Exception as error:  # the other curves can still be measured
        curve.error = f"{type(error).__name__}: {error}"[:300]
        sys.stderr.write(f"  failed: {curve.error}\n")
        return 1
    return 0


def curves() -> Sequence[tuple[Curve, Measure]]:
    """All curves, still empty, each with what measures it."""
    across = "vectors of 512 numbers"
    return [
        (Curve("One query by the size of the index", across, "ms"), index_size),
        (Curve("Search through the gateway, nothing cached", "callers", "ms"), callers),
        (Curve("The same, 16 callers, one thread a replica", "replicas of retrieval", "requests/s"), replicas),
        (Curve("Captions, one caller", "pictures in a request", "ms"), pictures),
    ]


def index_size(curve: Curve, setting: Setting) -> None:
    """Exact search, search in a fixed number of cells, and codes of 64 bytes in such cells.

    Full vectors are left out if they do not fit into memory, codes if there are too few vectors to train them.
    """
    source = Clusters()
    queries = cycle(source.queries(64)[:, None])
    flat = faiss.IndexFlatIP(DIMENSIONS)
    for size in SIZES[: setting.sized(len(SIZES), 2)]:
        exact = some = None
        needed, free = 2 * size * DIMENSIONS * 4, _free_bytes()
        if needed <= free / SPARE:
            for chunk in source.chunks(size - flat.ntotal):
                flat.add(chunk)
            exact, some = (milliseconds(partial(_ask, each, queries), setting.turn_s) for each in (flat, _cells(flat)))
        else:
            curve.left_out = (
                f"{size:,}: both indexes of full vectors need {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free"
            )
            sys.stderr.write(f"  {curve.left_out}\n")
            flat.reset()
        codes = coded(size) if size >= LEAST_CODED else None
        curve.add(
            size,
            exact=exact,
            cells=some,
            codes=None if codes is None else milliseconds(partial(_ask, codes.index, queries), setting.turn_s),
            codes_mb=None if codes is None else size * (CODE + ID) / 1e6,
            codes_recall=None if codes is None else codes.recall,
        )


@dataclass(frozen=True)
class Coded:
    """An index of codes, and its recall of the ten nearest."""

    index: Any
    recall: float


def coded(size: int, trained: int | None = None, code: int = CODE) -> Coded:
    """Codes of `code` bytes for `size` vectors, trained on `trained` of them, by default on as many as the cells need.

    Filled chunk by chunk, so that the full vectors are never all in memory; the true neighbours are found on the way.
    """
    source = Clusters()
    asked = source.queries(CODED_QUERIES)
    number = max(LEAST_CELLS, round(2 * size**0.5))
    name = (
        f"IVF{number}_HNSW32,PQ{code}"  # a graph over the cells: comparing each vector with all of them takes longest
    )
    index: Any = faiss.index_factory(DIMENSIONS, name, faiss.METRIC_INNER_PRODUCT)
    trained = trained or max(TRAINED_WITH * number, LEAST_TRAINED)
    index.train(Clusters().draw(trained, np.random.default_rng(0)))
    index.nprobe = PROBES
    nearest: Any = faiss.ResultHeap(len(asked), NEIGHBOURS, keep_max=True)
    for chunk in tqdm(source.chunks(size), total=-(-size // CHUNK), desc=f"codes of {size:,}", unit="chunk"):
        scores, rows = faiss.knn(asked, chunk, NEIGHBOURS, metric=faiss.METRIC_INNER_PRODUCT)
        nearest.add_result(scores, rows + index.ntotal)
        index.add(chunk)
    nearest.finalize()
    found = index.search(asked, NEIGHBOURS)[1]
    shared = [len(np.intersect1d(mine, theirs)) for mine, theirs in zip(found, nearest.I, strict=True)]
    return Coded(index, float(np.mean(shared)) / NEIGHBOURS)


def callers(curve: Curve, setting: Setting) -> None:
    """Response times, and the share of requests that were refused."""
    with search_system(setting) as system:
        for number in CALLERS[: setting.sized(len(CALLERS), 3)]:
            found = system.uncached(number, setting.sized(4, 1), errors=1)  # refusals are part of the curve
            refused = found["errors"] / found["sent"]
            curve.add(number, p50=found["p50"], p99=found["p99"], rate=found["rate"], refused=refused)


def replicas(curve: Curve, setting: Setting) -> None:
    """Responses per second."""
    with replicated_search(setting, setting.sized(REPLICAS, 2)) as systems:
        for number, system in enumerate(systems, 1):
            found = system.uncached(AT_REPLICAS, setting.sized(4, 1))
            curve.add(number, answers=found["rate"], per_core=found["per_core"])
            curve.lines.setdefault("retrieval_mb", []).append(found["retrieval_mb"])


def pictures(curve: Curve, setting: Setting) -> None:
    """Time per request, and per picture in it."""
    contents = [file.read_bytes() for file in scenes(setting)[: max(PICTURES)]]
    with caption_service(setting, VIT_BERT if VIT_BERT.is_dir() else GRU) as service:
        for number in PICTURES[: setting.sized(len(PICTURES), 2)]:
            request = upload("/v1/captions", *contents[:number])
            found = load(service.port, [request], callers=1, seconds=setting.sized(4, 1))
            each = found["p50"] / number
            curve.add(number, p50=found["p50"], p99=found["p99"], picture=each, rate=number * found["rate"])


def _ask(index: Any, queries: Iterator[Vectors]) -> None:
    index.search(next(queries), HITS)


def _cells(flat: Any) -> Any:
    """An inverted file with the vectors of the flat index."""
    number = max(LEAST_CELLS, round(2 * flat.ntotal**0.5))
    index: Any = faiss.index_factory(DIMENSIONS, f"IVF{number},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 4, TRAINED_WITH, 1
    everything: Vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * DIMENSIONS).reshape(-1, DIMENSIONS)
    index.train(np.ascontiguousarray(everything[: TRAINED_WITH * number]))
    index.add(everything)
    index.nprobe = PROBES
    return index


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
