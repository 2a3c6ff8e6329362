"""How cost grows: the size of the index, callers at once, replicas, pictures in a request."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.growth_chart import growth_chart
from bench.machine import describe, warn_if_busy
from bench.setting import Setting

INTERRUPTED = 130


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
    from bench.growth_curves import curves

    return measure_all(curves(), setting, out)


def measure_all(curves: Sequence[tuple[Curve, Measure]], setting: Setting, out: Path) -> int:
    """As `grow`, for these curves; one that fails keeps none of the others from being measured."""
    machine, begun, status = describe(), list[Curve](), 0
    warn_if_busy(machine)
    try:
        for curve, measure in curves:
            begun.append(curve)
            sys.stderr.write(f"{curve.title}\n")
            status = max(status, _measured(curve, measure, setting))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; what has been measured is written.\n")
        status = INTERRUPTED
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
