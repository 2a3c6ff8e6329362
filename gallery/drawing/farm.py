"""Horses and sheep, seen from the side, facing right, standing on y = 0; a horse is about 130 units high."""

from gallery.drawing.svg import FUR, Point, circle, curve, darker, ellipse, group, line, path

_INK = "#20202a"
_Leg = tuple[Point, ...]
_Legs = tuple[tuple[_Leg, ...], tuple[_Leg, ...]]


def horse(colour: str, action: str) -> str:
    coat = FUR[colour]
    far = darker(coat, 0.22)
    mane = {"brown": "#4a2c1c", "black": "#15161d", "white": "#cfc6b8"}[colour]
    legs = _HORSE_RUN if action in ("running", "jumping") else _HORSE_STAND
    body = (
        "M-46,-76 C-50,-92 -30,-92 -12,-87 C4,-84 16,-90 28,-90 C44,-88 48,-74 42,-62"
        " C36,-50 16,-54 2,-52 C-16,-50 -24,-52 -34,-54 C-44,-58 -46,-68 -46,-76Z"
    )
    neck = (
        "M18,-82 C30,-92 34,-112 48,-124 C54,-128 60,-124 64,-116 C70,-108 80,-102 80,-96"
        " C80,-89 71,-88 66,-93 C60,-97 56,-100 53,-98 C50,-84 46,-70 38,-62Z"
    )
    return "".join(
        (
            path("M-44,-84 C-62,-86 -66,-60 -60,-36 C-54,-50 -48,-60 -42,-70Z", mane),
            _hoofed(legs[0], far, 10),
            path(body, coat),
            ellipse(-32, -68, 15, 20, coat),
            _hoofed(legs[1], coat, 11),
            path("M44,-122 L46,-136 L54,-124Z", coat, stroke=coat, stroke_width=2, stroke_linejoin="round"),
            path(neck, coat),
            path("M52,-128 C38,-132 26,-112 14,-86 C22,-86 30,-92 34,-100 C40,-110 46,-118 52,-128Z", mane),
            ellipse(76, -95, 5.5, 5.5, darker(coat, 0.3), opacity=0.6),
            circle(60, -112, 2.3, _INK),
            circle(77, -97, 1.1, _INK),
        )
    )


def sheep(colour: str, action: str) -> str:
    wool = {"white": "#fbf8f0", "black": "#4a4752", "brown": "#a5764c"}[colour]
    face = {"white": "#4b4350", "black": "#211f29", "brown": "#573a28"}[colour]
    shadow = darker(wool, 0.14)
    eating = action == "eating"
    puffs = (
        (-30, -36, 13),
        (-24, -50, 13),
        (-8, -56, 14),
        (9, -54, 13),
        (22, -46, 12),
        (22, -32, 12),
        (-14, -28, 13),
        (4, -28, 13),
    )
    under = "".join(circle(x, y + 3, r, shadow) for x, y, r in puffs)
    top = "".join(circle(x, y, r, wool) for x, y, r in puffs)
    head = "".join(
        (
            ellipse(0, 0, 9, 12.5, face, transform="rotate(-28)"),
            ellipse(-10, -6, 6.5, 3.4, face, transform="rotate(18 -10 -6)"),
            circle(-2, -11, 7, wool),
            circle(4, -10, 5.5, wool),
            circle(3.5, -2.5, 2, "#ffffff"),
            circle(4, -2.5, 1.1, _INK),
        )
    )
    return "".join(
        (
            _hoofed((((-20, -26), (-20, 0)), ((12, -26), (12, 0))), darker(face, 0.3), 6.5),
            _hoofed((((-12, -26), (-12, 0)), ((18, -26), (18, 0))), face, 6.5),
            circle(-42, -40, 6, wool),
            under,
            top,
            ellipse(-4, -40, 26, 16, wool),
            curve("M-22,-44 q5,5 10,0 M-4,-36 q5,5 10,0 M-14,-30 q4,4 8,0 M2,-50 q4,4 8,0", shadow, 2),
            group(head, transform="translate(38 -16) rotate(20)" if eating else "translate(36 -50)"),
        )
    )


_HORSE_STAND: _Legs = (
    (((-28, -62), (-33, -36), (-29, 0)), ((26, -62), (26, -30), (26, 0))),
    (((-38, -62), (-44, -36), (-40, 0)), ((36, -66), (37, -32), (36, 0))),
)


_HORSE_RUN: _Legs = (
    (((-28, -62), (-44, -42), (-66, -30)), ((26, -62), (50, -50), (52, -26))),
    (((-36, -62), (-40, -34), (-58, -8)), ((34, -64), (62, -58), (78, -40))),
)


def _hoofed(legs: tuple[_Leg, ...], colour: str, width: float) -> str:
    pieces = []
    for leg in legs:
        (kx, ky), (fx, fy) = leg[-2], leg[-1]
        hoof = ((fx + (kx - fx) * 0.16, fy - 2 + (ky - fy) * 0.16), (fx, fy - 2))
        pieces.append(line([*leg[:-1], hoof[1]], colour, width) + line(hoof, "#2a2028", width))
    return "".join(pieces)
