"""The scenery of every place, drawn over the whole picture from back to front: here the water and the living room."""

from collections.abc import Callable
from random import Random

from gallery.drawing import land
from gallery.drawing.svg import (
    circle,
    curve,
    darker,
    ellipse,
    fade,
    fall,
    lighter,
    line,
    mix,
    path,
    polygon,
    put,
    rect,
    stretch,
)
from gallery.drawing.things import pine
from gallery.drawing.view import View


def beach(view: View) -> str:
    sand = view.shade("#f2d9a3")
    foam, wet = view.shade("#ffffff"), darker(sand, 0.15)
    shore = "C20,67 35,59 55,63 S85,67 101,62"
    land = "".join(
        (
            path(f"M-1,62 {shore} L101,80 L-1,80Z", foam),
            path(f"M-1,64.2 {shore.replace('63', '65')} L101,80 L-1,80Z", wet),
            path("M-1,67 C20,71 35,63 55,67 S85,71 101,66 L101,80 L-1,80Z", sand),
        )
    )
    grains = "".join(
        ellipse(x, y, 2.2 * scale, 1.1 * scale, darker(sand, 0.18)) for x, y, scale in view.scatter(40, 0.72, 0.99)
    )
    h = view.height
    return "".join(
        (
            view.sky(0.44),
            view.ridge(0.43, 0.03, "#6ba08a", 0.45, 0.7),
            view.water(0.44, view.shade("#2d9fc4"), 0.35),
            view.waves(18, 0.46, 0.6),
            stretch(land, view.width, h),
            fade(0, h * 0.72, view.width, h * 0.28, sand, darker(sand, 0.14)),
            grains,
        )
    )


def ocean(view: View) -> str:
    pieces = [view.sky(0.5), view.water(0.5, view.shade("#1f7fb5"), 0.45)]
    if view.weather == "sunset":
        width = view.width
        pieces += [
            ellipse(
                width * 0.5, view.height * (0.52 + 0.02 * step), width * (0.2 - 0.03 * step), 3, "#ffdf95", opacity=0.5
            )
            for step in range(5)
        ]
    pieces.append(view.waves(20, 0.52, 0.66))
    for level, swing, strength in ((0.66, 0.012, 0.2), (0.75, 0.016, 0.4), (0.87, 0.02, 0.64)):
        pieces.append(view.ridge(level, swing, mix("#2a90c8", "#0f4f86", strength), 0, 3.2))
        pieces.append(view.waves(9, level + 0.03, level + 0.1))
    return "".join(pieces)


def lake(view: View) -> str:
    w, h = view.width, view.height
    shore = "M-1,95 C10,93 16,98 22,101 L-1,101Z M101,94 C92,93 86,98 80,101 L101,101Z"
    ripples = view.scatter(22, 0.6, 0.97)
    return "".join(
        (
            view.sky(0.52),
            view.ridge(0.42, 0.06, "#7fa6a8", 0.5, 1.3),
            view.ridge(0.5, 0.03, "#6fa56c", 0.25, 1.8),
            view.row(pine(view.shade("#3f7f5a", 0.12)), 0.57, 0.36, 34),
            rect(0, h * 0.56, w, 8, view.shade("#a6b96a"), 3),
            view.water(0.575, view.shade("#4aa3c9"), 0.3),
            "".join(ellipse(x, y, 40 * scale, 2.2 * scale, "#ffffff", opacity=0.22) for x, y, scale in ripples),
            stretch(path(shore, view.shade("#7fae52")), w, h),
            _reeds(view),
        )
    )


def _reeds(view: View) -> str:
    stem = line([(0, 0), (3, -34)], view.shade("#5a8f45"), 2.2)
    reed = stem + ellipse(3, -36, 2.6, 8, view.shade("#7a5230"))
    spots = ((0.02, 1.3), (0.05, 1.1), (0.09, 1.35), (0.92, 1.1), (0.95, 1.4), (0.985, 1.2))
    return "".join(put(reed, view.width * share, view.height, scale) for share, scale in spots)


def underwater(view: View) -> str:
    w, h, rng = view.width, view.height, view.rng
    rays = [
        polygon([(x, -5), (x + 40, -5), (x - 30, h), (x - 150, h)], fall("#ffffff", "#ffffff", 0.3, 0))
        for x in (w * 0.25, w * 0.55, w * 0.95)
    ]
    bed = path("M-1,88 C25,83 40,91 60,88 S90,84 101,88 L101,101 L-1,101Z", fall("#d9c893", "#a8935e"))
    rocks = ((0.28, 1, "#5f6f8a"), (0.34, 0.7, "#71829e"), (0.72, 0.9, "#5f6f8a"))
    coral = "M0,0 v-20 m0,8 q-12,-2 -12,-16 m12,6 q12,-2 12,-16 m-12,4 v-16"
    weed = "M0,0 q-14,-25 0,-50 q14,-25 0,-50"
    return "".join(
        (
            fade(0, 0, w, h, "#5cc8e6", "#0d4f86"),
            *rays,
            *(ellipse(w * x, h * 0.91, 26 * scale, 15 * scale, colour) for x, scale, colour in rocks),
            stretch(bed, w, h),
            *(
                put(
                    curve(weed, rng.choice(("#2f9a6a", "#237a58", "#5ab06a")), 8),
                    w * x,
                    h * 0.92,
                    rng.uniform(0.6, 1.2),
                )
                for x in (0.05, 0.1, 0.16, 0.82, 0.88, 0.95)
            ),
            *(put(curve(coral, colour, 6), w * x, h * 0.92) for x, colour in ((0.42, "#e87f8f"), (0.63, "#f0a35e"))),
            *(
                circle(rng.uniform(0, w), rng.uniform(0, h * 0.8), rng.uniform(2, 6), "#ffffff", opacity=0.28)
                for _ in range(18)
            ),
        )
    )


def room(view: View) -> str:
    w, h, rng = view.width, view.height, view.rng
    wall = rng.choice(("#f3dcc0", "#d9e4dc", "#dfe3ef", "#f2d9d2", "#e6dcc8"))
    wood = rng.choice(("#b9855a", "#a8744a", "#c79a6b"))
    rug = rng.choice(("#d98a7a", "#7fa3b8", "#c9a45e", "#8fae9a"))
    floor, middle = h * 0.72, w * 0.5
    planks = (
        line([(middle + x * 0.72, floor), (middle + x * 1.6, h)], darker(wood, 0.2), 1.3, opacity=0.6)
        for x in range(-w, w, 44)
    )
    return "".join(
        (
            fade(0, 0, w, floor, lighter(wall, 0.15), darker(wall, 0.05)),
            *(rect(x, 0, 14, floor, lighter(wall, 0.25), opacity=0.5) for x in range(0, w, 34)),
            fade(0, floor, w, h - floor, wood, darker(wood, 0.15)),
            *planks,
            rect(0, floor - 9, w, 10, "#fdf8ee"),
            put(_window(), w * rng.choice((0.12, 0.62)), h * 0.1, min(w * 0.0027, h * 0.0036)),
            put(_frame(rng), middle, h * 0.17),
            ellipse(middle, h * 0.89, w * 0.42, h * 0.085, darker(rug, 0.15)),
            ellipse(middle, h * 0.885, w * 0.4, h * 0.075, rug),
            ellipse(middle, h * 0.885, w * 0.33, h * 0.058, "none", stroke=lighter(rug, 0.4), stroke_width=2.5),
        )
    )


def _window() -> str:
    """A hundred units square."""
    frame = "#fdf8ee"
    return "".join(
        (
            rect(-6, -6, 112, 112, frame, 3),
            rect(0, 0, 100, 100, fall("#8fd0f2", "#e2f4fb")),
            path("M0,100 v-24 q30,-20 55,0 q25,-12 45,0 v24Z", "#8fc486"),
            rect(48, 0, 4, 100, frame),
            rect(0, 48, 100, 4, frame),
            rect(-12, 104, 124, 6, frame, 2),
        )
    )


def _frame(rng: Random) -> str:
    hill = rng.choice(("#e58f65", "#6fa8a0", "#8a7fb5"))
    picture = rect(-22, 0, 44, 34, "#6b4a32", 2) + rect(-18, 4, 36, 26, "#f7ead2")
    return picture + path("M-18,30 v-8 q10,-12 20,0 q8,-6 16,0 v8Z", hill)


SCENERY: dict[str, Callable[[View], str]] = {
    "beach": beach,
    "field": land.field,
    "park": land.park,
    "forest": land.forest,
    "road": land.road,
    "street": land.street,
    "snow": land.snow,
    "ocean": ocean,
    "lake": lake,
    "mountains": land.mountains,
    "room": room,
    "underwater": underwater,
    "tracks": land.tracks,
}
