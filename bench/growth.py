"""What is measured for each curve of growth.

How cost grows with the size of the index, callers, replicas and pictures in a request: measured and drawn.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from tqdm import tqdm

from bench.chart import STYLE, text
from bench.machine import describe, warn_if_busy
from bench.processes import load
from bench.rounds import milliseconds
from bench.row import Setting
from bench.rows.caption_service import caption_service, upload
from bench.rows.captions import GRU, VIT_BERT
from bench.rows.pictures import scenes
from bench.rows.search_service import replicated_search, search_system
from bench.rows.vector_search import CHUNK, DIMENSIONS, Clusters, Vectors

CALLERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PICTURES = (1, 2, 4, 8, 16)
REPLICAS = 4
AT_REPLICAS = 16  # callers
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
HITS, NEIGHBOURS = 12, 10
CODE, ID = 64, 8  # bytes
LEAST_CODED, LEAST_TRAINED = 100_000, 10_000  # vectors
CODED_QUERIES = 100
PROBES = 16  # cells that are looked into
LEAST_CELLS, TRAINED_WITH = 64, 40  # vectors for each cell
SPARE = 2  # of memory: an index takes no more than one part in so many of what is free


INTERRUPTED = 130
WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 760, 280, 80, 150, 48, 44
COLOURS = ("#2f7d5b", "#c2572e", "#3d6fb6", "#8a5fb0")  # legible on white and on black
RATES = (
    "rate",
    "refused",
    "per_core",
    "retrieval_mb",
    "codes_mb",
    "codes_recall",
)  # of another unit or scale: told in the JSON only


@dataclass
class Curve:
    """One chart: `lines` gives for each name the values at `at`, in `unit`, None where there is none; `left_out` says
    what was not measured."""

    title: str
    across: str
    unit: str
    at: list[int] = field(default_factory=list)
    lines: dict[str, list[float | None]] = field(default_factory=dict)
    left_out: str | None = None
    error: str | None = None

    def add(self, at: int, **values: float | None) -> None:
        self.at.append(at)
        for name, value in values.items():
            self.lines.setdefault(name, []).append(value)


Measure = Callable[[Curve, Setting], None]


def grow(setting: Setting, out: Path) -> int:
    """Measure all curves and write them as JSON and as a chart beside it. Returns the exit status."""
    from bench.growth import curves

    return measure_all(curves(), setting, out)


def measure_all(curves: Sequence[tuple[Curve, Measure]], setting: Setting, out: Path) -> int:
    """As `grow`, for these curves; one that fails stops none of the others. An interrupted run replaces no report."""
    machine, begun, status = describe(), list[Curve](), 0
    warn_if_busy(machine)
    try:
        for curve, measure in curves:
            begun.append(curve)
            sys.stderr.write(f"{curve.title}\n")
            status = max(status, _measured(curve, measure, setting))
    except KeyboardInterrupt:
        status, unchanged, out = INTERRUPTED, out, setting.cache / out.with_suffix(".partial.json").name
        sys.stderr.write(f"\nInterrupted: what was measured is in {out}; {unchanged} is unchanged.\n")
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


def growth_chart(curves: Sequence[Curve]) -> str:
    """A file that stands for itself, readable in light and dark."""
    height = PANEL * max(len(curves), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>How cost grows</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        *(part for place, curve in enumerate(curves) for part in _panel(curve, PANEL * place)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(curve: Curve, y: int) -> list[str]:
    parts = [text("title", 16, y + 26, curve.title, "start")]
    lines = {name: values for name, values in curve.lines.items() if name not in RATES}
    if not lines:
        return [*parts, text("small", LEFT, y + TOP + 20, "not measured", "start")]
    axes = _Axes(curve.at, lines, y)
    parts += axes.grid(curve.across, curve.unit)
    for (name, values), colour in zip(lines.items(), COLOURS, strict=False):
        known = [(at, value) for at, value in zip(curve.at, values, strict=True) if value is not None]
        points = [axes.point(at, value) for at, value in known]
        path = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(text("", points[-1][0] + 8, points[-1][1] + 4, f"{name} {known[-1][1]:.3g} {curve.unit}", "start"))
    return parts


class _Axes:
    def __init__(self, at: Sequence[int], lines: Mapping[str, Sequence[float | None]], y: int) -> None:
        values = [max(value, 1e-6) for line in lines.values() for value in line if value is not None]
        self.at, self.y = at, y
        self.across = _ends(at)
        self.up = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        if self.up[0] == self.up[1]:
            self.up = self.up[0], self.up[0] + 1

    def point(self, at: float, value: float) -> tuple[float, float]:
        across = (math.log10(at) - self.across[0]) / (self.across[1] - self.across[0])
        up = (math.log10(max(value, 1e-6)) - self.up[0]) / (self.up[1] - self.up[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), self.y + PANEL - BOTTOM - up * (PANEL - TOP - BOTTOM)

    def grid(self, across: str, unit: str) -> list[str]:
        parts, bottom = [], self.y + PANEL - BOTTOM
        for power in range(int(self.up[0]), int(self.up[1]) + 1):
            _, height = self.point(self.at[0], 10.0**power)
            line = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"'
            name = text("small", LEFT - 8, height + 4, f"{10.0**power:g} {unit}", "end")
            parts += [f'<line class="grid" {line}/>', name]
        for at in self.at:
            parts.append(text("small", self.point(at, 1)[0], bottom + 18, f"{at:,}", "middle"))
        return [*parts, text("small", (LEFT + WIDTH - RIGHT) / 2, bottom + 34, across, "middle")]


def _ends(at: Sequence[int]) -> tuple[float, float]:
    low, high = math.log10(min(at)), math.log10(max(at))
    return (low, high) if high > low else (low, low + 1)


def curves() -> Sequence[tuple[Curve, Measure]]:
    """All of them, with nothing measured."""
    across = "vectors of 512 numbers"
    return [
        (Curve("One query by the size of the index", across, "ms"), index_size),
        (Curve("Search through the gateway, nothing cached", "callers", "ms"), callers),
        (Curve("The same, 16 callers, one thread a replica", "replicas of retrieval", "requests/s"), replicas),
        (Curve("Captions, one caller", "pictures in a request", "ms"), pictures),
    ]


def index_size(curve: Curve, setting: Setting) -> None:
    """Exact search, cells of which a fixed number is looked into, and codes of 64 bytes in such cells.

    Whole vectors are left out where they have no room in memory, codes where there are too few vectors to learn them.
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
                f"{size:,}: both indexes of whole vectors need {needed / 1e9:.0f} GB, {free / 1e9:.0f} are free"
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


def coded(size: int, trained: int | None = None) -> Coded:
    """Codes for `size` vectors, learned from `trained` of them, or from as many as the cells need.

    Filled chunk by chunk, so that whole vectors are never all in memory; what is nearest is looked up on the way.
    """
    source = Clusters()
    asked = source.queries(CODED_QUERIES)
    number = max(LEAST_CELLS, round(2 * size**0.5))
    name = (
        f"IVF{number}_HNSW32,PQ{CODE}"  # a graph over the cells: comparing each vector with all of them takes longest
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
    """Times of the answers, and the share of the requests that were refused."""
    with search_system(setting) as system:
        for number in CALLERS[: setting.sized(len(CALLERS), 3)]:
            found = system.uncached(number, setting.sized(4, 1), errors=1)  # who is refused is a part of the curve
            refused = found["errors"] / found["sent"]
            curve.add(number, p50=found["p50"], p99=found["p99"], rate=found["rate"], refused=refused)


def replicas(curve: Curve, setting: Setting) -> None:
    """Answers a second."""
    with replicated_search(setting, setting.sized(REPLICAS, 2)) as systems:
        for number, system in enumerate(systems, 1):
            found = system.uncached(AT_REPLICAS, setting.sized(4, 1))
            curve.add(number, answers=found["rate"], per_core=found["per_core"])
            curve.lines.setdefault("retrieval_mb", []).append(found["retrieval_mb"])


def pictures(curve: Curve, setting: Setting) -> None:
    """Times of a request, and of a picture in it."""
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
