"""Vehicles, boats and aircraft, facing right; wheels and hulls stand on y = 0. A car or a boat is 150 units long."""

from gallery.drawing.svg import PAINT, circle, curve, darker, ellipse, fall, lighter, line, path, polygon, rect

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


def boat(colour: str, action: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            rect(-34, -62, 54, 34, "#fdf8ec", 5),
            rect(-40, -68, 66, 8, darker(paint, 0.1), 4),
            "".join(circle(x, -45, 6.5, "#8cc4e0", stroke="#c9b899", stroke_width=2) for x in (-20, -2)),
            rect(-12, -92, 12, 25, paint, 2),
            rect(-13, -92, 14, 6, darker(paint, 0.35), 2),
            path(
                "M-70,-32 L78,-36 C74,-14 62,4 44,6 L-46,6 C-60,2 -68,-14 -70,-32Z",
                fall(lighter(paint, 0.1), darker(paint, 0.2)),
            ),
            path("M-70,-32 L78,-36 L76,-28 L-69,-25Z", "#fdf8ec"),
            line([(58, -36), (58, -46), (70, -46)], "#8b6a4a", 2.4),
        )
    )


def sailboat(colour: str, action: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            line([(0, -14), (0, -142)], "#7a5538", 3.4),
            path("M5,-138 C34,-104 48,-60 52,-26 L5,-26Z", fall(lighter(paint, 0.2), darker(paint, 0.06))),
            path("M-5,-126 C-20,-90 -34,-52 -44,-28 L-5,-28Z", lighter(paint, 0.45)),
            path("M0,-142 L18,-148 L0,-152Z", darker(paint, 0.2)),
            path("M-56,-20 L64,-20 C58,-4 46,6 34,6 L-34,6 C-46,4 -54,-8 -56,-20Z", fall("#a8703f", "#6d4426")),
            path("M-56,-20 L64,-20 L62,-14 L-54,-14Z", "#fdf8ec"),
        )
    )


def hot_air_balloon(colour: str, action: str) -> str:
    """Hangs in the air; the basket's floor is at y = 0."""
    paint = PAINT[colour]
    pale = lighter(paint, 0.62)
    envelope = (
        "M0,-150 C-46,-150 -62,-112 -54,-84 C-48,-62 -22,-48 -13,-34 L13,-34 C22,-48 48,-62 54,-84 "
        "C62,-112 46,-150 0,-150Z"
    )
    return "".join(
        (
            line([(-12, -34), (-10, -16)], "#6d4a2c", 1.6),
            line([(12, -34), (10, -16)], "#6d4a2c", 1.6),
            path(envelope, paint),
            path(
                "M0,-150 C-34,-146 -46,-112 -38,-84 C-33,-62 -14,-48 -8,-34 L-2,-34 C-6,-60 -20,-80 -20,-104 "
                "C-20,-128 -10,-146 0,-150Z",
                pale,
            ),
            path(
                "M0,-150 C34,-146 46,-112 38,-84 C33,-62 14,-48 8,-34 L2,-34 C6,-60 20,-80 20,-104 C20,-128 "
                "10,-146 0,-150Z",
                pale,
            ),
            path(
                "M0,-150 C46,-150 62,-112 54,-84 C48,-62 22,-48 13,-34 L4,-34 C24,-60 46,-96 0,-150Z",
                darker(paint, 0.5),
                opacity=0.16,
            ),
            rect(-14, -38, 28, 6, darker(paint, 0.25), 2),
            rect(-12, -18, 24, 18, fall("#b98047", "#8a5a2c"), 4),
            line([(-12, -16), (12, -16)], "#d9a566", 3),
            curve("M-11,-10 h22 M-11,-5 h22", "#7a4e26", 1),
        )
    )


def plane(colour: str, action: str) -> str:
    """Flies; drawn around y = -30."""
    paint = PAINT[colour]
    return "".join(
        (
            path("M-74,-36 L-92,-70 L-74,-70 L-50,-40Z", darker(paint, 0.12)),
            path("M4,-34 L-22,-66 L-8,-66 L34,-36Z", darker(paint, 0.3)),
            path(
                "M-84,-36 C-60,-46 10,-48 52,-44 C76,-42 90,-32 90,-26 C88,-18 66,-14 40,-14 C0,-14 -54,-16 -84,-30Z",
                fall(lighter(paint, 0.2), darker(paint, 0.08)),
            ),
            path(
                "M-70,-22 C-30,-12 50,-12 88,-24 C84,-17 66,-14 40,-14 C0,-14 -40,-15 -70,-22Z", "#ffffff", opacity=0.5
            ),
            path("M64,-41 C76,-38 82,-34 84,-31 L66,-31Z", _GLASS),
            "".join(ellipse(x, -32, 3, 3.6, "#e8f6fc") for x in range(-50, 56, 14)),
            polygon([(10, -24), (-34, 8), (-16, 8), (40, -22)], darker(paint, 0.18)),
            rect(-14, -10, 20, 8, "#6b7280", 4),
            path("M-70,-32 L-96,-20 L-84,-20 L-54,-30Z", darker(paint, 0.25)),
        )
    )
