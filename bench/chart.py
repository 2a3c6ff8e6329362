"""The ratios as a picture: an SVG file that stands for itself, readable in light and dark."""

import math
from collections.abc import Sequence
from html import escape

from bench.row import Result

LEFT, RIGHT, TOP, BOTTOM, STEP, BAR, WIDTH = 330, 170, 64, 34, 34, 16, 900
LEAST, MOST = 0.125, 16.0  # times the threshold, the range of the chart

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
    """A ratio divided by its threshold, or the other way round if lower is better: above 1 the threshold is met."""
    return result.threshold / ratio if result.lower_is_better else ratio / result.threshold


def _x(times: float) -> float:
    share = math.log(min(max(times, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _line(kind: str, times: float, top: int, bottom: int) -> str:
    x = _x(times)
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def text(kind: str, x: float, y: float, words: str, anchor: str) -> str:
    """A line of an SVG file, of a class of `STYLE`; anchored at its start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
