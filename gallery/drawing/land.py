"""Scenery on land: field, park, forest, snow, mountains, road, railway and street."""

from random import Random

from gallery.drawing.svg import (
    circle,
    darker,
    ellipse,
    fade,
    fall,
    glow,
    lighter,
    line,
    path,
    polygon,
    put,
    rect,
    stretch,
)
from gallery.drawing.things import pine, tree
from gallery.drawing.view import View

_FACADES = ("#c98a6b", "#7f9bb8", "#d9b27c", "#a58db0", "#8fae9a", "#c7b8a6")
_TOWERS = ("#8fa3bd", "#9db0c6", "#879ab5")


def field(view: View) -> str:
    blossom = view.shade("#fff3b8")
    return "".join(
        (
            view.sky(0.55),
            view.ridge(0.47, 0.05, "#8dbb9b", 0.5, 1.2),
            view.ridge(0.53, 0.045, "#79b36e", 0.28, 1.6),
            view.row(tree(view.shade("#5a9a58", 0.2)), 0.585, 0.2, 58),
            view.ridge(0.6, 0.03, "#86bd55", 0.08, 1.1),
            view.ground(0.69, "#7ab648"),
            view.tufts(46, 0.72, "#4f8f35"),
            "".join(circle(x, y, 2 * scale, blossom) for x, y, scale in view.scatter(22, 0.72, 0.99)),
        )
    )


def park(view: View) -> str:
    way = view.shade("#e3cfa4")
    outline = "M62,64.5 C30,70 90,76 30,101 L95,101 C105,78 50,70 66,64.5Z"
    return "".join(
        (
            view.sky(0.55),
            view.ridge(0.52, 0.03, "#87b98c", 0.45, 1.4),
            view.row(tree(view.shade("#6aa566", 0.25)), 0.64, 0.55, 66),
            view.ground(0.61, "#8ac65f"),
            view.row(tree(view.shade("#4f9a50", 0.05)), 0.67, 0.72, 150),
            stretch(path(outline, fall(way, darker(way, 0.12))), view.width, view.height),
            _fence(view, 0.645),
            view.tufts(26, 0.7, "#5a9c3e"),
        )
    )


def _fence(view: View, level: float) -> str:
    wood, y = view.shade("#f3ead8"), view.height * level
    posts = "".join(rect(x, y - 13, 3, 14, wood, 1) for x in range(4, view.width, 17))
    return rect(0, y - 10, view.width, 2, wood) + rect(0, y - 5, view.width, 2, wood) + posts


def forest(view: View) -> str:
    w, h = view.width, view.height
    pieces = [fade(0, 0, w, h * 0.8, view.shade("#d4ecb0", 0.25), view.shade("#a9d08a", 0.2))]
    if view.weather == "sunny":
        pieces += [
            polygon([(x, -5), (x + 34, -5), (x - 40, h), (x - 130, h)], fall("#fffbd0", "#fffbd0", 0.5, 0))
            for x in (w * 0.3, w * 0.6, w * 0.95)
        ]
    for distance, colour, foot, wide, gap in (
        (0.5, "#7fa27c", 0.66, 9, 34),
        (0.28, "#68835a", 0.69, 15, 62),
        (0.06, "#5d4630", 0.73, 25, 118),
    ):
        pieces.append(_trunks(view, view.shade(colour, distance), foot, wide, gap))
        pieces.append(_canopy(view, view.shade("#3f8a48", distance), 1.1 - distance * 0.5))
        pieces.append(view.ridge(foot - 0.02, 0.012, "#5e9a47", distance * 0.8, 2))
    pieces.append(view.ground(0.74, "#6ea64e"))
    fern = _fern(view.shade("#3f8640"))
    pieces += [put(fern, x, y, scale) for x, y, scale in view.scatter(14, 0.76, 0.98)]
    return "".join(pieces)


def _trunks(view: View, bark: str, foot: float, wide: float, gap: float) -> str:
    """Trunks from the upper edge to `foot`, drawn a hundred units high and ten wide."""
    trunk = path("M0,-100 L10,-100 L10.5,-4 Q11,0 16,3 L-6,3 Q-1,0 0,-4Z", fall(darker(bark, 0.12), bark))
    pieces, x, y = [], view.rng.uniform(0, gap), view.height * foot
    while x < view.width:
        broad = wide * view.rng.uniform(0.75, 1.2)
        scale = f"translate({x:.1f} {y:.1f}) scale({broad / 10:.2f} {(y + 8) / 100:.2f})"
        pieces.append(f'<g transform="{scale}">{trunk}</g>')
        x += gap * view.rng.uniform(0.8, 1.5)
    return "".join(pieces)


def _canopy(view: View, colour: str, size: float) -> str:
    rng, pieces, x = view.rng, [], -20.0
    while x < view.width + 30:
        pieces.append(circle(x, rng.uniform(-22, 4), rng.uniform(26, 48) * size, colour))
        x += rng.uniform(24, 44)
    return "".join(pieces)


def _fern(colour: str) -> str:
    tips = ((-14, 15), (-7, 22), (2, 24), (9, 20), (15, 13))
    return "".join(
        path(f"M0,0 Q{x * 0.4:.0f},{-y} {x},{-y * 0.75:.0f} Q{x * 0.55:.0f},{-y * 0.5:.0f} 0,0Z", colour)
        for x, y in tips
    )


def snow(view: View) -> str:
    drifts = view.scatter(14, 0.75, 0.98)
    return "".join(
        (
            view.sky(0.55),
            peaks(view, 0.56, 0.3, "#9fb4cc", 0.35),
            view.ridge(0.54, 0.035, "#d9e6f2", 0.15, 1.4),
            view.row(pine(view.shade("#4f7f78", 0.2), snow=True), 0.6, 0.3, 46),
            view.ridge(0.6, 0.02, "#e8f0f8", 0, 1.2),
            view.row(pine(view.shade("#3b7268"), snow=True), 0.67, 0.55, 150),
            view.ground(0.68, "#f1f6fb"),
            "".join(ellipse(x, y, 26 * s, 3.4 * s, view.shade("#cbdcec"), opacity=0.7) for x, y, s in drifts),
        )
    )


def mountains(view: View) -> str:
    stones = view.scatter(6, 0.75, 0.97)
    return "".join(
        (
            view.sky(0.58),
            peaks(view, 0.56, 0.36, "#8d9ab5", 0.45),
            peaks(view, 0.6, 0.3, "#71809c", 0.12),
            view.ridge(0.6, 0.03, "#6fa568", 0.15, 1.5),
            view.row(pine(view.shade("#3d7a58", 0.1)), 0.645, 0.3, 40),
            view.ridge(0.66, 0.022, "#8cbd5a", 0, 1),
            view.ground(0.72, "#86b953"),
            view.tufts(34, 0.74, "#578f3a"),
            "".join(ellipse(x, y, 7 * s, 4.5 * s, view.shade("#a7a39a")) for x, y, s in stones),
        )
    )


def peaks(view: View, base: float, tall: float, colour: str, distance: float) -> str:
    """A chain of mountains with snow on top; each is drawn two hundred units wide and a hundred high."""
    rock, ice = view.shade(colour, distance), view.shade("#ffffff", distance * 0.5)
    mountain = "".join(
        (
            polygon([(-100, 0), (0, -100), (100, 0)], fall(lighter(rock, 0.1), rock)),
            polygon([(0, -100), (100, 0), (20, 0)], darker(rock, 0.25), opacity=0.35),
            polygon([(0, -100), (30, -70), (14, -78), (0, -64), (-14, -77), (-30, -70)], ice),
        )
    )
    w, h, rng = view.width, view.height, view.rng
    pieces, x = [], -w * 0.15
    while x < w * 1.02:
        half, high = w * rng.uniform(0.2, 0.28), h * tall * rng.uniform(0.65, 1.1) + 30
        place = f"translate({x + half * 0.8:.1f} {h * base + 30:.1f}) scale({half / 100:.2f} {high / 100:.2f})"
        pieces.append(f'<g transform="{place}">{mountain}</g>')
        x += half * rng.uniform(1.0, 1.35)
    return "".join(pieces)


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
