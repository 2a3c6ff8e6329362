"""SVG charts that stand alone and are readable in light and dark: ratios to the rivals, and curves of growth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from bench.row import Result

LEFT, RIGHT, TOP, BOTTOM, STEP, BAR, WIDTH = 330, 170, 64, 34, 34, 16, 900
LEAST, MOST = 0.125, 16.0  # range of the chart, in multiples of the threshold

CURVE_WIDTH, PANEL, CURVE_LEFT, CURVE_RIGHT, CURVE_TOP, CURVE_BOTTOM = 760, 280, 80, 150, 48, 44
COLOURS = ("#2f7d5b", "#c2572e", "#3d6fb6", "#8a5fb0")  # legible on white and on black
# In another unit or on another scale: reported in the JSON only.
JSON_ONLY = ("rate", "refused", "per_core", "retrieval_mb", "codes_mb", "codes_recall")


STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1d2733 }
  .small { font-size: 11px; fill: #5b6673 }
  .title { font-size: 16px; font-weight: 600 }
  .ground { fill: #ffffff } .grid { stroke: #d8dee6 } .threshold { stroke: #1d2733; stroke-width: 2 }
  .met { fill: #2f7d5b } .short { fill: #c2572e }
  .target { stroke: #5b6673; stroke-width: 2; stroke-dasharray: 3 2 }
  .spread { stroke: #1d2733; stroke-opacity: .55; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6ebf1 } .small { fill: #9aa7b5 } .ground { fill: #12171d } .grid { stroke: #2c3540 }
    .threshold, .spread { stroke: #e6ebf1 } .met { fill: #4fb389 } .short { fill: #e58257 }
    .target { stroke: #9aa7b5 }
  }
"""


@dataclass
class Curve:
    """One chart of growth: `lines` maps each name to its values at `at`, in `unit`, None if there is none; `left_out`
    says what was not measured."""

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


def chart(results: Sequence[Result]) -> str:
    """A bar for each row: its ratio divided by its threshold, on a logarithmic scale."""
    height = TOP + STEP * len(results) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Ratios to the rivals, divided by their thresholds</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        '<text class="title" x="16" y="26">Ratios to the rivals, divided by their thresholds</text>',
        '<text class="small" x="16" y="44">solid: threshold; dashed: target; thin: interquartile range</text>',
        *_grid(height),
        *(part for place, result in enumerate(results) for part in _bar(result, TOP + STEP * place)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(height: int) -> list[str]:
    bottom = height - BOTTOM
    ticks = [2.0**power for power in range(int(math.log2(LEAST)), int(math.log2(MOST)) + 1)]
    lines = [_line("threshold" if tick == 1 else "grid", tick, TOP - 6, bottom) for tick in ticks]
    names = [f"1/{1 / tick:g}" if tick < 1 else f"{tick:g}" for tick in ticks]
    shown = zip(ticks, names, strict=True)
    return lines + [text("small", _x(tick), bottom + 18, f"{name}×", "middle") for tick, name in shown]


def _bar(result: Result, y: int) -> list[str]:
    middle = y + STEP // 2
    name = text("", LEFT - 12, middle + 4, result.work, "end")
    if result.ratio is None or result.score is None:
        why = f"skipped: {result.skipped}" if result.skipped else "failed"
        return [name, text("small", LEFT + 8, middle + 4, why, "start")]
    reached = _x(_times(result, result.ratio))
    start = _x(LEAST)
    kind = "met" if result.met else "short"
    sign = "≤ " if result.lower_is_better else ""
    told = f"{result.ratio:.3g}×, threshold {sign}{result.threshold:g}"
    target = [] if result.target is None else [_line("target", _times(result, result.target), middle - 11, middle + 11)]
    half = (result.spread or 0.0) / 2
    ends = [_x(_times(result, max(result.ratio + sign * half, 1e-6))) for sign in (-1, 1)]
    return [
        name,
        f'<rect class="{kind}" x="{start:.1f}" y="{middle - BAR // 2}" width="{reached - start:.1f}" height="{BAR}"/>',
        f'<line class="spread" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{middle}" y2="{middle}"/>',
        *target,
        text("small", WIDTH - RIGHT + 10, middle + 4, told, "start"),
    ]


def _times(result: Result, ratio: float) -> float:
    """A ratio divided by its threshold, or the inverse if lower is better: the threshold is met from 1 up."""
    return result.threshold / ratio if result.lower_is_better else ratio / result.threshold


def _x(times: float) -> float:
    share = math.log(min(max(times, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _line(kind: str, times: float, top: int, bottom: int) -> str:
    x = _x(times)
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def text(kind: str, x: float, y: float, words: str, anchor: str) -> str:
    """A text element with a class of `STYLE`, anchored at its start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def growth_chart(curves: Sequence[Curve]) -> str:
    """One panel for each curve, on logarithmic scales."""
    height = PANEL * max(len(curves), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CURVE_WIDTH} {height}" role="img">',
        f"<title>How cost grows</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{CURVE_WIDTH}" height="{height}"/>',
        *(part for place, curve in enumerate(curves) for part in _panel(curve, PANEL * place)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(curve: Curve, y: int) -> list[str]:
    parts = [text("title", 16, y + 26, curve.title, "start")]
    lines = {name: values for name, values in curve.lines.items() if name not in JSON_ONLY}
    if not lines:
        return [*parts, text("small", CURVE_LEFT, y + CURVE_TOP + 20, "not measured", "start")]
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
        x = CURVE_LEFT + across * (CURVE_WIDTH - CURVE_LEFT - CURVE_RIGHT)
        return x, self.y + PANEL - CURVE_BOTTOM - up * (PANEL - CURVE_TOP - CURVE_BOTTOM)

    def grid(self, across: str, unit: str) -> list[str]:
        parts, bottom = [], self.y + PANEL - CURVE_BOTTOM
        for power in range(int(self.up[0]), int(self.up[1]) + 1):
            _, height = self.point(self.at[0], 10.0**power)
            line = f'x1="{CURVE_LEFT}" x2="{CURVE_WIDTH - CURVE_RIGHT}" y1="{height:.1f}" y2="{height:.1f}"'
            name = text("small", CURVE_LEFT - 8, height + 4, f"{10.0**power:g} {unit}", "end")
            parts += [f'<line class="grid" {line}/>', name]
        for at in self.at:
            parts.append(text("small", self.point(at, 1)[0], bottom + 18, f"{at:,}", "middle"))
        return [*parts, text("small", (CURVE_LEFT + CURVE_WIDTH - CURVE_RIGHT) / 2, bottom + 34, across, "middle")]


def _ends(at: Sequence[int]) -> tuple[float, float]:
    low, high = math.log10(min(at)), math.log10(max(at))
    return (low, high) if high > low else (low, low + 1)
