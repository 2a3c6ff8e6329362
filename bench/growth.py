"""How cost grows: the size of the index, callers at once, pictures in a request."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.growth_chart import growth_chart
from bench.machine import describe
from bench.setting import Setting

CALLERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PICTURES = (1, 2, 4, 8, 16)
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
DIMENSIONS = 512
SPARE = 2  # of memory: an index takes no more than one part in so many of what is free
INTERRUPTED = 130


@dataclass
class Curve:
    """One chart: `lines` gives for each name the values at `at`, in `unit`."""

    title: str
    across: str
    unit: str
    at: list[int] = field(default_factory=list)
    lines: dict[str, list[float]] = field(default_factory=dict)
    error: str | None = None

    def add(self, at: int, **values: float) -> None:
        self.at.append(at)
        for name, value in values.items():
            self.lines.setdefault(name, []).append(value)


def grow(setting: Setting, out: Path) -> int:
    """Measure all curves and write them as JSON and as a chart beside it. Returns the exit status."""
    machine, curves, status = describe(), list[Curve](), 0
    try:
        for curve, measure in _curves():
            curves.append(curve)
            sys.stderr.write(f"{curve.title}\n")
            status = max(status, _measured(curve, measure, setting))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; what has been measured is written.\n")
        status = INTERRUPTED
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine, "curves": [asdict(curve) for curve in curves]}
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".svg").write_text(growth_chart(curves), encoding="utf-8")
    return status


Measure = Callable[[Curve, Setting], None]


def _curves() -> Sequence[tuple[Curve, Measure]]:
    return [
        (Curve("Exact search, one query, by the size of the index", "vectors of 512 numbers", "ms"), _index_size),
        (Curve("Search through the gateway, nothing cached", "callers", "ms"), _callers),
        (Curve("Captions, one caller, by pictures in a request", "pictures in a request", "ms"), _pictures),
    ]


def _measured(curve: Curve, measure: Measure, setting: Setting) -> int:
    try:
        measure(curve, setting)
    except Exception as error:  # the other curves can still be measured
        curve.error = f"{type(error).__name__}: {error}"[:300]
        sys.stderr.write(f"  failed: {curve.error}\n")
        return 1
    return 0


def _index_size(curve: Curve, setting: Setting) -> None:
    """Sizes that memory has no room for are left out."""
    import faiss
    import numpy as np

    from bench.rounds import milliseconds

    random = np.random.default_rng(0)
    query, index = random.standard_normal((1, DIMENSIONS), dtype=np.float32), faiss.IndexFlatIP(DIMENSIONS)
    for size in SIZES[: setting.sized(len(SIZES), 2)]:
        if size * DIMENSIONS * 4 > _free_bytes() / SPARE:
            sys.stderr.write(f"  {size}: no room in memory\n")
            break
        while index.ntotal < size:
            index.add(random.standard_normal((min(100_000, size - index.ntotal), DIMENSIONS), dtype=np.float32))
        curve.add(size, search=milliseconds(lambda: index.search(query, 12), setting.turn_s))


def _callers(curve: Curve, setting: Setting) -> None:
    from bench.rows.search_service import search_system

    with search_system(setting) as system:
        for callers in CALLERS[: setting.sized(len(CALLERS), 3)]:
            found = system.uncached(callers, setting.sized(4, 1))
            refused = found["errors"] / found["sent"]
            curve.add(callers, p50=found["p50"], p99=found["p99"], rate=found["rate"], refused=refused)


def _pictures(curve: Curve, setting: Setting) -> None:
    from bench.processes import load
    from bench.rows.caption_service import caption_service, upload
    from bench.rows.captions import GRU, VIT_BERT
    from bench.rows.pictures import scenes

    contents = [file.read_bytes() for file in scenes(setting)[: max(PICTURES)]]
    with caption_service(setting, VIT_BERT if VIT_BERT.is_dir() else GRU) as service:
        for number in PICTURES[: setting.sized(len(PICTURES), 2)]:
            request = upload("/v1/captions", *contents[:number])
            found = load(service.port, [request], callers=1, seconds=setting.sized(4, 1))
            curve.add(number, p50=found["p50"], p99=found["p99"], rate=number * found["rate"])


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
