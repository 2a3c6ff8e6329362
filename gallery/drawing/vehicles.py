"""Vehicles, facing right, on y = 0 (wheels on the road, hulls on the water line); a car is 150 units long."""

from gallery.drawing.svg import PAINT, circle, curve, darker, ellipse, fall, lighter, line, path, rect

_GLASS = fall("#d9f1fb", "#8cc4e0")
_TYRE = "#262833"


def wheel(x: float, r: float) -> str:
    return "".join(
        (
            circle(x, -r, r, _TYRE),
            circle(x, -r, r * 0.58, "#cfd4dc"),
            circle(x, -r, r * 0.24, "#7d8491"),
        )
    )


def car(colour: str, action: str) -> str:
    paint = PAINT[colour]
    body = fall(lighter(paint, 0.15), darker(paint, 0.12))
    return "".join(
        (
            path("M-40,-34 C-32,-58 -24,-62 -8,-62 L14,-62 C28,-62 38,-48 46,-34Z", darker(paint, 0.08)),
            path("M-31,-35 C-26,-52 -22,-56 -8,-56 L0,-56 L0,-35Z", _GLASS),
            path("M6,-35 L6,-56 L13,-56 C24,-56 31,-46 37,-35Z", _GLASS),
            path(
                "M-74,-14 C-76,-30 -70,-36 -48,-37 L48,-37 C66,-34 76,-30 75,-16 C75,-10 72,-9 68,-9 L-68,-9 "
                "C-72,-9 -74,-10 -74,-14Z",
                body,
            ),
            rect(-70, -15, 141, 5, darker(paint, 0.3), 2.5, opacity=0.55),
            line([(3, -33), (3, -16)], darker(paint, 0.3), 1.4),
            line([(-13, -30), (-5, -30)], darker(paint, 0.4), 2.6),
            ellipse(70, -25, 4, 5, "#fff1b5"),
            rect(-75, -29, 5, 8, "#c22d2d" if colour != "red" else "#ffd7cf", 2),
            circle(-42, -13, 17, darker(paint, 0.45)),
            circle(42, -13, 17, darker(paint, 0.45)),
            wheel(-42, 14),
            wheel(42, 14),
        )
    )


def bus(colour: str, action: str) -> str:
    paint = PAINT[colour]
    windows = "".join(rect(x, -84, 24, 27, _GLASS, 4) for x in (-88, -59, -30, -1, 28))
    return "".join(
        (
            path(
                "M-100,-88 C-100,-98 -94,-100 -86,-100 L82,-100 C96,-100 101,-92 101,-80 L103,-20 C103,-13 "
                "99,-12 94,-12 L-94,-12 C-99,-12 -101,-14 -101,-20Z",
                fall(lighter(paint, 0.18), darker(paint, 0.1)),
            ),
            windows,
            path("M60,-84 L88,-84 C94,-84 95,-78 96,-70 L97,-44 L60,-44Z", _GLASS),
            rect(-101, -48, 152, 7, lighter(paint, 0.6), 3),
            rect(58, -40, 1.6, 26, darker(paint, 0.35)),
            rect(-102, -22, 205, 9, darker(paint, 0.35), 4, opacity=0.6),
            ellipse(99, -28, 4, 6, "#fff1b5"),
            circle(-62, -16, 19, darker(paint, 0.45)),
            circle(64, -16, 19, darker(paint, 0.45)),
            wheel(-62, 16),
            wheel(64, 16),
        )
    )


def truck(colour: str, action: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            rect(-100, -26, 196, 12, "#454957", 3),
            rect(-104, -104, 136, 82, fall(lighter(paint, 0.1), darker(paint, 0.16)), 5),
            "".join(rect(x, -98, 2, 70, darker(paint, 0.25), 1, opacity=0.5) for x in (-80, -56, -32, -8, 16)),
            path(
                "M38,-22 L38,-82 C38,-86 40,-88 44,-88 L72,-88 C80,-88 84,-80 88,-66 L98,-54 C102,-50 102,-46 "
                "102,-40 L102,-20 L38,-18Z",
                fall(lighter(paint, 0.25), paint),
            ),
            path("M58,-58 L58,-80 L70,-80 C76,-80 79,-72 82,-58Z", _GLASS),
            ellipse(99, -34, 3.6, 5.5, "#fff1b5"),
            rect(92, -22, 14, 8, "#454957", 3),
            wheel(-74, 17),
            wheel(-32, 17),
            wheel(74, 17),
        )
    )


def train(colour: str, action: str) -> str:
    paint = PAINT[colour]
    body, trim = fall(lighter(paint, 0.15), darker(paint, 0.12)), lighter(paint, 0.65)
    cars = "".join(
        rect(x, -72, 96, 58, body, 7)
        + rect(x, -34, 96, 6, trim)
        + "".join(rect(x + 9 + 27 * i, -62, 20, 20, _GLASS, 3) for i in range(3))
        for x in (-186, -84)
    )
    engine = "".join(
        (
            path(
                "M18,-64 C18,-70 20,-72 26,-72 L92,-72 C120,-72 142,-52 148,-28 C150,-18 144,-14 136,-14 L18,-14Z", body
            ),
            path("M18,-34 L147,-34 L148,-28 L18,-28Z", trim),
            "".join(rect(28 + 27 * i, -62, 20, 20, _GLASS, 3) for i in range(2)),
            path("M86,-42 L86,-64 L94,-64 C110,-62 122,-54 128,-42Z", _GLASS),
            ellipse(141, -24, 4, 4, "#fff1b5"),
        )
    )
    wheels = "".join(circle(x, -8, 8, _TYRE) + circle(x, -8, 3.4, "#9aa1ad") for x in (-168, -108, -66, -6, 40, 112))
    links = line([(-92, -20), (-80, -20)], "#454957", 5) + line([(10, -20), (22, -20)], "#454957", 5)
    return links + cars + engine + wheels


def bicycle(colour: str, action: str) -> str:
    paint = PAINT[colour]
    wheels = "".join(
        circle(x, -19, 17.5, "none", stroke=_TYRE, stroke_width=3.2)
        + curve(f"M{x},-36 v34 M{x - 17},-19 h34 M{x - 12},-31 l24,24 M{x + 12},-31 l-24,24", "#9aa1ad", 0.7)
        + circle(x, -19, 2.4, "#6b7280")
        for x in (-28, 28)
    )
    return "".join(
        (
            wheels,
            line([(-28, -19), (-4, -17), (18, -43), (-13, -43), (-4, -17)], paint, 4),
            line([(-28, -19), (-13, -43)], paint, 3.4),
            line([(28, -19), (17, -48)], paint, 3.8),
            line([(17, -48), (15, -53), (25, -54)], "#3a3d48", 3.2),
            line([(-13, -43), (-15, -50)], "#3a3d48", 3),
            line([(-22, -51), (-8, -51)], "#3a3d48", 5),
            circle(-4, -17, 5, "#4a4e5a"),
            line([(-4, -17), (1, -8)], "#4a4e5a", 2.4),
            line([(-3, -8), (5, -8)], "#2a2d36", 2.6),
        )
    )
