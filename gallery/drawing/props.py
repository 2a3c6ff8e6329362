"""What people hold, ski and surf on."""

from gallery.drawing.svg import PAINT, Point, circle, curve, darker, ellipse, lighter, line, path, polygon


def balloon(colour: str) -> str:
    """Held at (0, 0)."""
    paint = PAINT[colour]
    return "".join(
        (
            curve("M0,0 q6,-14 4,-30", "#f4f1ea", 1),
            ellipse(4, -50, 17, 21, paint),
            path("M4,-30 l-4,5 h8Z", darker(paint)),
            ellipse(-2, -58, 4, 7, "#ffffff", opacity=0.45, transform="rotate(20 -2 -58)"),
        )
    )


def umbrella(colour: str) -> str:
    """Held at (0, 0)."""
    paint = PAINT[colour]
    scallops = "q-7,-7 -14,0 " * 6
    return "".join(
        (
            line([(0, 8), (0, -77)], "#5b4a42", 2.2),
            path(f"M-42,-48 C-38,-84 38,-84 42,-48 {scallops}Z", paint),
            path("M-14,-48 C-12,-68 -4,-75 0,-75 C4,-75 12,-68 14,-48 q-7,-7 -14,0 q-7,-7 -14,0Z", lighter(paint)),
        )
    )


def kite(colour: str) -> str:
    """On a string from (0, 0)."""
    paint = PAINT[colour]
    return "".join(
        (
            curve("M0,0 Q14,-40 16,-100", "#f4f1ea", 1.1),
            polygon([(16, -132), (38, -100), (16, -66), (-6, -100)], paint),
            polygon([(16, -132), (38, -100), (16, -100)], lighter(paint, 0.35)),
            polygon([(16, -100), (16, -66), (-6, -100)], darker(paint)),
            curve("M16,-66 q10,8 2,16 q-8,8 2,18", lighter(paint, 0.2), 2.2),
            circle(20, -55, 3, paint),
            circle(16, -42, 3, paint),
        )
    )


def skis(hand: Point) -> str:
    x, y = hand
    return "".join(
        (
            line([(-40, 1), (40, 1), (48, -4)], "#c2433b", 3),
            line([(-34, 4), (46, 4), (54, -1)], "#c2433b", 3),
            line([(x, y), (x - 26, 2)], "#454957", 1.6),
            line([(x - 5, y - 2), (x - 40, 1)], "#6b7280", 1.6),
        )
    )


def surfboard(colour: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            path("M-66,2 C-40,-5 40,-6 72,-8 C60,6 -30,14 -66,2Z", paint),
            path("M-56,3 C-30,0 30,-2 62,-5 C40,3 -20,7 -56,3Z", lighter(paint, 0.45)),
        )
    )


def surf() -> str:
    """The breaking wave that a surfer rides, drawn over the board's edge."""
    return "".join(
        (
            path(
                "M-120,22 C-96,-6 -80,10 -60,4 C-30,16 30,10 60,4 C86,0 100,16 128,22 C60,32 -60,32 -120,22Z", "#eaf6fb"
            ),
            "".join(
                circle(x, y, r, "#ffffff")
                for x, y, r in ((-84, 4, 10), (-98, 12, 8), (-70, 8, 9), (-52, 10, 7), (84, 12, 6), (66, 10, 7))
            ),
        )
    )
