"""The living room."""

from random import Random

from gallery.drawing.svg import darker, ellipse, fade, fall, lighter, line, path, put, rect
from gallery.drawing.view import View


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
