"""Things and plants that stand on y = 0; a house is about 120 units high, a tree about 150."""

from gallery.drawing.svg import PAINT, circle, curve, darker, ellipse, fall, group, lighter, line, path, polygon, rect


def house(colour: str) -> str:
    wall = PAINT[colour]
    roof = "#b04a3a" if colour not in ("red", "pink", "orange", "brown") else "#5a5f73"
    return "".join(
        (
            rect(28, -124, 14, 34, "#a3593f", 2),
            rect(26, -126, 18, 6, "#7d4331", 2),
            rect(-58, -72, 116, 72, fall(lighter(wall, 0.12), darker(wall, 0.06))),
            path(
                "M-72,-66 L-6,-122 C-2,-125 2,-125 6,-122 L72,-66 C74,-62 72,-60 68,-60 L-68,-60 C-72,-60 "
                "-74,-62 -72,-66Z",
                fall(lighter(roof, 0.1), darker(roof, 0.15)),
            ),
            rect(-58, -60, 116, 5, darker(wall, 0.3), opacity=0.4),
            circle(0, -88, 9, "#fdf6e3"),
            circle(0, -88, 6.5, "#9fd0e6"),
            _window(-46),
            _window(20),
            rect(-11, -44, 22, 44, "#fdf6e3", 3),
            rect(-8.5, -41, 17, 41, "#7a4b2e", 2),
            circle(4.5, -20, 1.7, "#f5d060"),
            rect(-15, -4, 30, 4, "#c9c2b6", 1),
            "".join(circle(x, -5, 6, "#4f9d57") for x in (-52, -43, -34, -25, 25, 34, 43, 52)),
        )
    )


def _window(x: float) -> str:
    return "".join(
        (
            rect(x - 2, -46, 30, 28, "#fdf6e3", 2),
            rect(x, -44, 26, 24, fall("#cdeaf6", "#8cc4e0")),
            line([(x + 13, -44), (x + 13, -20)], "#fdf6e3", 2),
            line([(x, -32), (x + 26, -32)], "#fdf6e3", 2),
        )
    )


def bench(colour: str) -> str:
    wood = PAINT[colour]
    return "".join(
        (
            line([(-38, -26), (-41, 0)], "#3e424e", 4),
            line([(38, -26), (41, 0)], "#3e424e", 4),
            line([(-38, -26), (-38, -56)], "#3e424e", 4),
            line([(38, -26), (38, -56)], "#3e424e", 4),
            rect(-50, -58, 100, 9, lighter(wood, 0.1), 4),
            rect(-50, -45, 100, 9, wood, 4),
            rect(-54, -29, 108, 9, darker(wood, 0.12), 4),
        )
    )


def tent(colour: str) -> str:
    cloth = PAINT[colour]
    return "".join(
        (
            path("M-12,-74 L52,-66 L84,0 L30,0Z", darker(cloth, 0.2)),
            path("M-12,-74 C-30,-46 -44,-22 -66,0 L44,0 C22,-24 4,-50 -12,-74Z", fall(lighter(cloth, 0.15), cloth)),
            path("M-12,-58 C-18,-36 -26,-16 -36,0 L14,0 C4,-18 -6,-38 -12,-58Z", darker(cloth, 0.55)),
            path("M-12,-58 C-18,-36 -26,-16 -36,0 L-20,0 C-16,-20 -13,-40 -12,-58Z", lighter(cloth, 0.4)),
            line([(-66, 0), (-78, 4)], "#f4ead6", 1.4),
            line([(84, 0), (94, 4)], "#f4ead6", 1.4),
            line([(-12, -74), (-12, -82)], "#5b4a42", 2.4),
        )
    )


def ball(colour: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            circle(0, -13, 13, paint),
            path(
                "M-12,-18 C-6,-12 6,-12 12,-18 C12,-14 13,-11 12,-8 C6,-3 -6,-3 -12,-8 C-13,-11 -12.5,-15 -12,-18Z",
                lighter(paint, 0.6) if colour != "white" else "#e0685f",
            ),
            path("M-9,-4 A13,13 0 0 0 12,-8 A16,16 0 0 1 -9,-4Z", darker(paint, 0.3), opacity=0.6),
            ellipse(-5, -20.5, 3.4, 2.2, "#ffffff", opacity=0.7),
        )
    )


def lighthouse(colour: str) -> str:
    paint = PAINT[colour]
    bands = "".join(
        polygon([(-w0, y0), (w0, y0), (w1, y1), (-w1, y1)], paint)
        for w0, y0, w1, y1 in ((20.5, -30, 18.8, -52), (17.2, -74, 15.6, -96), (14, -118, 12.6, -136))
    )
    return "".join(
        (
            path("M-60,6 C-54,-12 -34,-14 -24,-12 L26,-12 C40,-14 56,-8 62,6Z", "#8b8378"),
            path("M-50,6 C-40,-6 -20,-8 0,-6 C20,-8 44,-4 52,6Z", "#a39a8c"),
            polygon([(-23, -8), (23, -8), (12.6, -136), (-12.6, -136)], "#fdf8ee"),
            bands,
            polygon([(0, -8), (23, -8), (12.6, -136), (2, -136)], "#1c2040", opacity=0.12),
            rect(-18, -142, 36, 7, "#454957", 2),
            rect(-10, -160, 20, 18, "#ffe9a0"),
            line([(0, -160), (0, -142)], "#454957", 1.6),
            path("M-14,-160 C-10,-172 10,-172 14,-160Z", darker(paint, 0.15)),
            circle(0, -172, 2.6, "#454957"),
            path("M-5,-8 L-5,-22 C-5,-28 5,-28 5,-22 L5,-8Z", "#5b4a42"),
            rect(-3, -66, 6, 9, "#454957", 3),
        )
    )


def snowman(colour: str) -> str:
    """`colour` is the scarf's."""
    scarf, snow = PAINT[colour], fall("#ffffff", "#cfe0f0")
    return "".join(
        (
            line([(-18, -58), (-42, -74)], "#6b4528", 3),
            line([(18, -58), (42, -76)], "#6b4528", 3),
            line([(-36, -70), (-40, -80)], "#6b4528", 2),
            line([(36, -72), (46, -70)], "#6b4528", 2),
            circle(0, -24, 27, snow),
            circle(0, -60, 21, snow),
            circle(0, -88, 16, snow),
            line([(-13, -76), (12, -75)], scarf, 7.5),
            line([(9, -74), (14, -54)], scarf, 7.5),
            rect(-19, -104, 38, 5, "#2c2e3a", 2.5),
            rect(-12, -122, 24, 20, "#2c2e3a", 3),
            rect(-12, -108, 24, 4, scarf),
            circle(-5, -92, 2, "#2c2e3a"),
            circle(6, -92, 2, "#2c2e3a"),
            path("M1,-89 L20,-85 L1,-83Z", "#f08a24"),
            "".join(circle(2, y, 2.1, "#2c2e3a") for y in (-66, -56, -46)),
        )
    )


def beach_umbrella(colour: str) -> str:
    paint = PAINT[colour]
    return "".join(
        (
            line([(0, 0), (0, -100)], "#e9dcc3", 4),
            path(
                "M-62,-78 C-54,-122 54,-122 62,-78 q-10,-8 -21,0 q-10,-8 -20,0 q-10,-8 -21,0 q-10,-8 -21,0 "
                "q-10,-8 -20,0 q-11,-8 -20,0Z",
                paint,
            ),
            path(
                "M-21,-78 C-18,-100 -8,-111 0,-111 C8,-111 18,-100 21,-78 q-10,-8 -21,0 q-10,-8 -21,0Z",
                lighter(paint, 0.6),
            ),
            circle(0, -112, 3, "#e9dcc3"),
        )
    )


def couch(colour: str) -> str:
    cloth = PAINT[colour]
    return "".join(
        (
            line([(-64, -6), (-66, 0)], "#5a3b26", 5),
            line([(64, -6), (66, 0)], "#5a3b26", 5),
            rect(-72, -72, 144, 56, fall(lighter(cloth, 0.08), darker(cloth, 0.1)), 14),
            rect(-60, -40, 60, 22, lighter(cloth, 0.14), 8),
            rect(0, -40, 60, 22, lighter(cloth, 0.14), 8),
            line([(0, -68), (0, -42)], darker(cloth, 0.25), 1.6),
            rect(-66, -24, 132, 19, darker(cloth, 0.14), 7),
            rect(-82, -50, 24, 45, fall(cloth, darker(cloth, 0.12)), 11),
            rect(58, -50, 24, 45, fall(cloth, darker(cloth, 0.12)), 11),
        )
    )


def lamp(colour: str) -> str:
    shade = PAINT[colour]
    return "".join(
        (
            ellipse(0, -2, 15, 4, "#4a4450"),
            line([(0, -2), (0, -96)], "#4a4450", 3),
            polygon(
                [(-15, -126), (15, -126), (25, -92), (-25, -92)],
                fall(lighter(shade, 0.3), shade),
                stroke=shade,
                stroke_width=2,
                stroke_linejoin="round",
            ),
            ellipse(0, -92, 24, 3.4, "#fff3c4"),
        )
    )


def tree(crown: str = "#4c9f50") -> str:
    puffs = ((0, -122, 30), (-26, -102, 27), (27, -100, 28), (-8, -86, 28), (18, -82, 24))
    dark, light = darker(crown, 0.25), lighter(crown, 0.18)
    return "".join(
        (
            path("M-8,0 C-5,-20 -6,-46 -7,-76 L8,-76 C7,-46 7,-18 11,0Z", fall("#6b4528", "#8a5c38")),
            line([(0, -62), (20, -84)], "#7a5030", 5),
            line([(-1, -56), (-20, -80)], "#7a5030", 5),
            "".join(circle(x + 2, y + 6, r, dark) for x, y, r in puffs),
            "".join(circle(x, y, r, crown) for x, y, r in puffs),
            "".join(circle(x - r * 0.25, y - r * 0.25, r * 0.6, light, opacity=0.55) for x, y, r in puffs),
        )
    )


def pine(colour: str, *, snow: bool = False) -> str:
    """Three tiers, each the same shape a hundred units wide."""
    tier = path(
        "M0,-62 C40,-25 70,-8 100,10 Q0,22 -100,10 C-70,-8 -40,-25 0,-62Z",
        fall(lighter(colour, 0.1), darker(colour, 0.15)),
    )
    cover = path(
        "M0,-62 C30,-35 45,-22 58,-12 q-16,9 -32,0 q-24,13 -50,1 q-18,8 -34,0 C-45,-22 -30,-35 0,-62Z", "#fbfdff"
    )
    pieces = [rect(-6, -22, 12, 22, "#6b4528", 2)]
    for y, half in ((-28, 44), (-58, 35), (-88, 25)):
        pieces.append(group(tier + (cover if snow else ""), transform=f"translate(0 {y}) scale({half / 100} 0.8)"))
    return "".join(pieces)


def palm() -> str:
    leaves = "".join(
        path(
            f"M0,-128 Q{dx * 0.5:.0f},{-128 + dy - 26} {dx},{-128 + dy} Q{dx * 0.45:.0f},{-128 + dy - 8} 0,-122Z", fill
        )
        for dx, dy, fill in (
            (-58, 6, "#2f8a56"),
            (58, 4, "#2f8a56"),
            (-46, 30, "#3aa266"),
            (50, 30, "#3aa266"),
            (-24, 44, "#4bb878"),
            (22, 46, "#4bb878"),
        )
    )
    trunk = path("M-10,0 C-4,-40 -8,-90 -3,-126 L4,-126 C2,-90 6,-40 4,0Z", fall("#a87a4a", "#8a5f36"))
    rings = curve("M-7,-20 h11 M-6,-42 h10 M-6,-64 h9 M-5,-86 h8 M-4,-106 h7", "#6f4a28", 1.4, opacity=0.6)
    return trunk + rings + leaves + circle(-4, -122, 5, "#7a4b2e") + circle(5, -120, 5, "#6b4026")


def flowers(colour: str) -> str:
    petals = PAINT[colour]
    heart = "#f7c93e" if colour not in ("yellow", "orange") else "#8a4b1f"
    pieces = []
    for x, height, size in (
        (-30, 30, 7),
        (-16, 42, 8),
        (0, 34, 8),
        (14, 46, 8.5),
        (30, 32, 7),
        (-7, 22, 6),
        (22, 22, 6),
    ):
        pieces.append(curve(f"M{x * 0.7:.0f},0 Q{x},{-height * 0.5:.0f} {x},{-height}", "#3c8f4a", 2.2))
        pieces.append(path(f"M{x * 0.85:.0f},{-height * 0.4:.0f} q8,-8 13,-4 q-5,6 -13,4Z", "#4faa5c"))
        for dx, dy in ((0, -1), (0.95, -0.31), (0.59, 0.81), (-0.59, 0.81), (-0.95, -0.31)):
            pieces.append(circle(x + dx * size * 0.75, -height + dy * size * 0.75, size * 0.62, petals))
        pieces.append(circle(x, -height, size * 0.45, heart))
    return "".join(pieces)


def plant(colour: str) -> str:
    """`colour` is the pot's."""
    pot = PAINT[colour]
    leaf = "M0,0 C5,-22 24,-70 0,-100 C-24,-70 -5,-22 0,0Z"
    leaves = "".join(
        group(path(leaf, green), transform=f"translate(0 -28) rotate({turn}) scale(0.8 {size})")
        for turn, size, green in (
            (-46, 0.5, "#2f8a56"),
            (46, 0.5, "#2f8a56"),
            (-20, 0.62, "#3aa266"),
            (22, 0.64, "#3aa266"),
            (-2, 0.72, "#4bb878"),
        )
    )
    body = path("M-19,-30 L19,-30 L14,0 L-14,0Z", fall(lighter(pot, 0.1), darker(pot, 0.15)))
    return leaves + body + rect(-22, -36, 44, 9, lighter(pot, 0.15), 3)
