"""Places where vehicles go: road, street and railway."""

from random import Random

from gallery.drawing.plants import pine, tree
from gallery.drawing.svg import circle, darker, ellipse, fade, fall, glow, lighter, line, rect
from gallery.drawing.view import View

_FACADES = ("#c98a6b", "#7f9bb8", "#d9b27c", "#a58db0", "#8fae9a", "#c7b8a6")
_TOWERS = ("#8fa3bd", "#9db0c6", "#879ab5")


def road(view: View) -> str:
    w, h = view.width, view.height
    asphalt, top, bottom = view.shade("#666b78"), h * 0.75, h * 0.95
    return "".join(
        (
            view.sky(0.52),
            view.ridge(0.45, 0.06, "#8fb8a4", 0.5, 1.1),
            view.ridge(0.53, 0.04, "#7fb271", 0.25, 1.7),
            view.row(pine(view.shade("#4b8a5c", 0.2)), 0.62, 0.24, 70),
            view.ground(0.61, "#8cbf5c"),
            view.tufts(20, 0.65, "#5d9440"),
            rect(0, top - 4, w, bottom - top + 8, view.shade("#cdbf9c")),
            fade(0, top, w, bottom - top, lighter(asphalt, 0.08), darker(asphalt, 0.1)),
            "".join(rect(x, h * 0.85 - 2, 34, 4, view.shade("#f7f1dd"), 2) for x in range(-10, w, 62)),
        )
    )


def tracks(view: View) -> str:
    w, h = view.width, view.height
    bed = h * 0.84
    stones = view.scatter(50, 0.885, 0.94)
    return "".join(
        (
            view.sky(0.52),
            view.ridge(0.45, 0.05, "#8fb3b0", 0.5, 1.2),
            view.ridge(0.53, 0.04, "#83b573", 0.25, 1.6),
            view.row(tree(view.shade("#5a9a58", 0.15)), 0.61, 0.28, 60),
            view.ground(0.6, "#93c15d"),
            view.tufts(20, 0.64, "#5d9440"),
            rect(0, bed + 4, w, h * 0.11, view.shade("#a59c8e")),
            "".join(circle(x, y, 2.4 * scale, view.shade("#7f7a72")) for x, y, scale in stones),
            "".join(rect(x, bed + 6, 9, 12, view.shade("#6b4a32"), 2) for x in range(-4, w, 21)),
            rect(0, bed + 7, w, 4, view.shade("#5a5f6d")),
            view.tufts(22, 0.96, "#5d9440"),
        )
    )


def street(view: View) -> str:
    w, h = view.width, view.height
    lit = view.weather in ("night", "sunset")
    asphalt, lamp = view.shade("#5f6470"), view.shade("#3c4150")
    return "".join(
        (
            view.sky(0.6),
            _houses(view, _TOWERS, 0.5, (0.2, 0.42), 40, lit),
            _houses(view, _FACADES, 0.12, (0.32, 0.55), 62, lit),
            fade(0, h * 0.7, w, h * 0.09, view.shade("#d5d0c6"), view.shade("#c2bcb0")),
            rect(0, h * 0.785, w, 4, view.shade("#9b968c")),
            fade(0, h * 0.795, w, h * 0.21, asphalt, darker(asphalt, 0.15)),
            "".join(rect(x, h * 0.94, 40, 4.5, view.shade("#f7f1dd"), 2) for x in range(-14, w, 74)),
            _lamp(w * 0.08, h * 0.755, h * 0.36, lamp, lit),
            _lamp(w * 0.93, h * 0.755, h * 0.36, lamp, lit),
        )
    )


def _houses(
    view: View, palette: tuple[str, ...], distance: float, tops: tuple[float, float], wide: float, lit: bool
) -> str:
    rng, foot = view.rng, view.height * 0.72
    glass = "#ffe08a" if lit else view.shade("#e8f3f7", distance)
    pieces, x = [], -rng.uniform(0, 20)
    while x < view.width:
        width, top = wide * rng.uniform(0.8, 1.3), view.height * rng.uniform(*tops)
        wall = view.shade(rng.choice(palette), distance)
        pieces.append(rect(x, top, width, foot - top, fall(lighter(wall, 0.08), wall), 2))
        pieces.append(rect(x - 1.5, top, width + 3, 5, darker(wall, 0.2), 2))
        pieces.append(_windows(x, top, width, view.height * 0.66, glass, 0.85 - distance, rng, lit))
        x += width + rng.uniform(-2, 4)
    return "".join(pieces)


def _windows(
    x: float, top: float, width: float, bottom: float, glass: str, opacity: float, rng: Random, lit: bool
) -> str:
    columns = max(2, int(width // 15))
    step = width / columns
    pieces, y = [], top + 13
    while y < bottom:
        for column in range(columns):
            pane = glass if not lit or rng.random() < 0.55 else "#2a3157"
            pieces.append(rect(x + step * (column + 0.24), y, step * 0.52, 9, pane, 1, opacity=opacity))
        y += 17
    return "".join(pieces)


def _lamp(x: float, y: float, tall: float, colour: str, lit: bool) -> str:
    light = circle(x, y - tall, 26, glow("#ffe9a0", 0.8)) if lit else ""
    hood = line([(x - 6, y - tall - 7), (x + 6, y - tall - 7)], colour, 3)
    return line([(x, y), (x, y - tall)], colour, 3) + light + ellipse(x, y - tall, 6, 7.5, "#fff3c4") + hood
