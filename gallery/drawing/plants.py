"""Trees and flowers, on y = 0; a tree is about 150 units high."""

from gallery.drawing.svg import PAINT, circle, curve, darker, fall, group, lighter, line, path, rect


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
