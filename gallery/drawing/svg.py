"""Colours and the few SVG primitives that all drawings are made of.

A gradient's name holds its colours (`fall`, `across` and `glow` return `url(#...)`), so drawing needs no registry:
`document` finds the names in the text and writes the definitions.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

PAINT = {
    "red": "#e0453c",
    "blue": "#2f7fd8",
    "green": "#37a35c",
    "yellow": "#fbcb3c",
    "orange": "#f4872b",
    "purple": "#8a55c8",
    "pink": "#f58ab5",
    "brown": "#8d5a36",
    "black": "#2c2e3a",
    "white": "#faf8f2",
}

FUR = {
    "brown": "#99602f",
    "black": "#30313d",
    "white": "#faf6ee",
    "orange": "#ec8c3a",
    "yellow": "#eebf5c",
    "gray": "#8b919e",
}

SKIN = ("#f6cfae", "#eab98d", "#cf9468", "#a56d45", "#7c4d31")
HAIR = ("#2b2226", "#4a2e22", "#7a4a28", "#b9793c", "#e0b25c")
TROUSERS = ("#33415f", "#4f5d75", "#6b5b4d", "#3c3f4a", "#56708f")

Point = tuple[float, float]

_NAME = re.compile(r"url\(#([fag])-([0-9a-f]{6})-([0-9a-f]{6})-(\d+)-(\d+)\)")
_AXIS = {"f": 'x1="0" y1="0" x2="0" y2="1"', "a": 'x1="0" y1="0" x2="1" y2="0"'}


def mix(first: str, second: str, share: float) -> str:
    """The colour `share` of the way (0..1) from `first` to `second`, both `#rrggbb`."""
    one, two = (bytes.fromhex(colour[1:]) for colour in (first, second))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))


def darker(colour: str, share: float = 0.2) -> str:
    return mix(colour, "#1c2040", share)


def lighter(colour: str, share: float = 0.25) -> str:
    return mix(colour, "#ffffff", share)


def fall(top: str, bottom: str, top_opacity: float = 1, bottom_opacity: float = 1) -> str:
    return _paint("f", top, bottom, top_opacity, bottom_opacity)


def across(left: str, right: str, left_opacity: float = 1, right_opacity: float = 1) -> str:
    return _paint("a", left, right, left_opacity, right_opacity)


def glow(colour: str, opacity: float = 1, rim_opacity: float = 0) -> str:
    return _paint("g", colour, colour, opacity, rim_opacity)


def path(d: str, fill: str, *, opacity: float = 1, **attributes: object) -> str:
    return f'<path d="{d}" {_fill(fill, opacity)}{_attributes(attributes)}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, *, opacity: float = 1, **attributes: object) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}"'
    return f"<ellipse {place} {_fill(fill, opacity)}{_attributes(attributes)}/>"


def circle(x: float, y: float, r: float, fill: str, *, opacity: float = 1, **attributes: object) -> str:
    return ellipse(x, y, r, r, fill, opacity=opacity, **attributes)


def rect(x: float, y: float, width: float, height: float, fill: str, radius: float = 0, *, opacity: float = 1) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"'
    return f"<rect {place} {_fill(fill, opacity)}/>"


def polygon(points: Iterable[Point], fill: str, *, opacity: float = 1, **attributes: object) -> str:
    return f'<polygon points="{_points(points)}" {_fill(fill, opacity)}{_attributes(attributes)}/>'


def line(points: Iterable[Point], colour: str, width: float, *, opacity: float = 1) -> str:
    """A stroke with round ends and corners through the points: the limbs of everything alive."""
    return f'<polyline points="{_points(points)}" {_stroke(colour, width, opacity)}/>'


def curve(d: str, colour: str, width: float, *, opacity: float = 1) -> str:
    return f'<path d="{d}" {_stroke(colour, width, opacity)}/>'


def group(content: str, **attributes: object) -> str:
    return f"<g{_attributes(attributes)}>{content}</g>"


def stretch(content: str, width: float, height: float) -> str:
    """A piece drawn in hundredths of the picture, over the whole picture."""
    return group(content, transform=f"scale({width / 100:g} {height / 100:g})")


def fade(x: float, y: float, width: float, height: float, top: str, bottom: str) -> str:
    """A rectangle from one colour to another in bands of three pixels, which paint much faster than a gradient."""
    first, last, bands = round(y), round(y + height), max(2, round(height / 3))
    edges = [first + (last - first) * band // bands for band in range(bands + 1)]
    return "".join(
        rect(x, upper, width, lower - upper, mix(top, bottom, band / (bands - 1)))
        for band, (upper, lower) in enumerate(pairwise(edges))
    )


def put(content: str, x: float, y: float, scale: float = 1, *, mirrored: bool = False, turn: float = 0) -> str:
    across_scale = -scale if mirrored else scale
    turned = f" rotate({turn:.1f})" if turn else ""
    return f'<g transform="translate({x:.1f} {y:.1f}) scale({across_scale:.3f} {scale:.3f}){turned}">{content}</g>'


def document(content: str, width: int, height: int) -> str:
    """A whole SVG text with the definitions of the gradients that `content` names."""
    definitions = "".join(_definition(*name) for name in sorted(set(_NAME.findall(content))))
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><defs>{definitions}</defs>{content}</svg>'


def _paint(kind: str, first: str, second: str, first_opacity: float, second_opacity: float) -> str:
    opacities = f"{round(first_opacity * 100)}-{round(second_opacity * 100)}"
    return f"url(#{kind}-{first[1:]}-{second[1:]}-{opacities})"


def _definition(kind: str, first: str, second: str, first_opacity: str, second_opacity: str) -> str:
    name = f"{kind}-{first}-{second}-{first_opacity}-{second_opacity}"
    stops = (
        f'<stop offset="0" stop-color="#{first}" stop-opacity="{int(first_opacity) / 100}"/>'
        f'<stop offset="1" stop-color="#{second}" stop-opacity="{int(second_opacity) / 100}"/>'
    )
    if kind == "g":
        return f'<radialGradient id="{name}">{stops}</radialGradient>'
    return f'<linearGradient id="{name}" {_AXIS[kind]}>{stops}</linearGradient>'


def _fill(colour: str, opacity: float) -> str:
    # `opacity` itself would make the renderer paint each shape on a canvas of its own
    return f'fill="{colour}" fill-opacity="{opacity:g}"' if opacity < 1 else f'fill="{colour}"'


def _stroke(colour: str, width: float, opacity: float) -> str:
    shown = f' stroke-opacity="{opacity:g}"' if opacity < 1 else ""
    return (
        f'fill="none" stroke="{colour}" stroke-width="{width:g}"{shown} stroke-linecap="round" stroke-linejoin="round"'
    )


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
