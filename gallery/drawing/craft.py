"""Boats on the water line y = 0, and what flies, facing right; a boat is 150 units long."""

from gallery.drawing.svg import PAINT, circle, curve, darker, ellipse, fall, lighter, line, path, polygon, rect

_GLASS = fall("#d9f1fb", "#8cc4e0")


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
