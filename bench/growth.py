"""How cost grows with the size of the index, callers, replicas and pictures in a request: measured and drawn."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.chart import STYLE, text
from bench.machine import describe, warn_if_busy
from bench.setting import Setting

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
    from bench.growth_curves import curves

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
