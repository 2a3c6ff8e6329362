"""Animals, seen from the side, facing right, standing on y = 0; a dog is about 70 units high, a horse 130."""

from gallery.drawing.svg import FUR, PAINT, Point, circle, curve, darker, ellipse, group, lighter, line, path

_INK = "#20202a"

_Leg = tuple[Point, ...]
_Legs = tuple[tuple[_Leg, ...], tuple[_Leg, ...]]  # the far ones, the near ones

_QUADRUPED_STAND: _Legs = (
    (((-26, -32), (-29, -18), (-26, -4)), ((14, -32), (14, -4))),
    (((-19, -30), (-22, -16), (-18, -4)), ((23, -34), (23, -4))),
)
_QUADRUPED_RUN: _Legs = (
    (((-24, -34), (-30, -18), (-42, -12)), ((16, -34), (32, -22), (36, -9))),
    (((-20, -32), (-34, -22), (-50, -20)), ((22, -34), (40, -30), (50, -20))),
)
_HORSE_STAND: _Legs = (
    (((-28, -62), (-33, -36), (-29, 0)), ((26, -62), (26, -30), (26, 0))),
    (((-38, -62), (-44, -36), (-40, 0)), ((36, -66), (37, -32), (36, 0))),
)
_HORSE_RUN: _Legs = (
    (((-28, -62), (-44, -42), (-66, -30)), ((26, -62), (50, -50), (52, -26))),
    (((-36, -62), (-40, -34), (-58, -8)), ((34, -64), (62, -58), (78, -40))),
)


def dog(colour: str, action: str) -> str:
    fur = FUR[colour]
    far, light = darker(fur, 0.22), lighter(fur, 0.3 if colour != "black" else 0.12)
    if action == "sitting":
        return _sitting_dog(fur, far, light)
    legs = _QUADRUPED_RUN if action in ("running", "playing") else _QUADRUPED_STAND
    return "".join(
        (
            curve("M-30,-42 C-40,-46 -46,-56 -44,-66", fur, 7),
            _legs(legs[0], far, 8),
            path(
                "M-34,-40 C-35,-52 -16,-48 2,-50 C14,-52 26,-58 32,-48 C36,-36 26,-25 12,-27"
                " C0,-29 -8,-24 -18,-23 C-30,-22 -34,-30 -34,-40Z",
                fur,
            ),
            path("M30,-46 C33,-36 26,-26 14,-27 C18,-36 24,-42 30,-46Z", light),
            ellipse(-23, -34, 11, 12, fur),
            _legs(legs[1], fur, 9),
            group(_dog_head(fur, far, light), transform="translate(-1 2)"),
        )
    )


def _sitting_dog(fur: str, far: str, light: str) -> str:
    return "".join(
        (
            curve("M-22,-6 C-36,-4 -42,-12 -40,-22", fur, 7),
            line([(8, -34), (10, -4)], far, 8),
            path("M-26,-12 C-30,-32 -8,-54 10,-58 C26,-60 30,-46 26,-34 C24,-22 20,-10 12,-4 L-18,-2Z", fur),
            path("M26,-46 C28,-34 24,-22 18,-14 C14,-26 16,-38 26,-46Z", light),
            ellipse(-13, -15, 16, 15, fur),
            ellipse(-2, -4, 13, 4.5, fur),
            line([(19, -34), (19, -5)], fur, 9),
            ellipse(22, -4, 7, 4, fur),
            group(_dog_head(fur, far, light), transform="translate(-10 -8)"),
        )
    )


def _dog_head(fur: str, far: str, light: str) -> str:
    return "".join(
        (
            line([(23, -48), (33, -64)], fur, 17),
            line([(24, -56), (35, -50)], PAINT["red"], 3.5),
            ellipse(37, -69, 13.5, 12, fur),
            path("M40,-76 C52,-74 61,-70 61,-64 C61,-58 50,-57 40,-59Z", light),
            ellipse(59.5, -67, 3.6, 2.9, _INK),
            curve("M57,-60.5 C53,-58.5 49,-58.5 46,-60", darker(light, 0.5), 1.4),
            circle(44, -72.5, 2.1, _INK),
            circle(44.7, -73.2, 0.7, "#ffffff"),
            path("M30,-79 C22,-80 17,-68 20,-57 C24,-52 31,-57 33,-66 C35,-73 35,-78 30,-79Z", far),
        )
    )


def cat(colour: str, action: str) -> str:
    fur = FUR[colour]
    far, light = darker(fur, 0.2), lighter(fur, 0.4 if colour != "black" else 0.12)
    if action == "sleeping":
        return _sleeping_cat(fur, far, light)
    if action == "sitting":
        return "".join(
            (
                curve("M-14,-5 C-34,0 -38,-14 -30,-24", fur, 6.5),
                path("M-20,-3 C-26,-22 -12,-44 4,-46 C18,-46 20,-20 16,-2Z", fur),
                path("M8,-40 C16,-34 16,-18 12,-8 C6,-18 4,-30 8,-40Z", light),
                _stripes(far, ((-16, -22), (-13, -29), (-8, -35))),
                line([(9, -26), (9, -3)], fur, 7),
                ellipse(-8, -5, 11, 4.8, far, opacity=0.35),
                ellipse(11, -3, 6, 3.2, light),
                group(_cat_head(fur, far, light), transform="translate(7 -52)"),
            )
        )
    legs = _QUADRUPED_RUN if action in ("running", "playing") else _QUADRUPED_STAND
    return "".join(
        (
            curve("M-30,-32 C-44,-34 -40,-54 -48,-60", fur, 6.5),
            group(_legs(legs[0], far, 8), transform="scale(0.92 0.8)"),
            path(
                "M-33,-32 C-34,-42 -16,-40 4,-40 C18,-42 29,-42 29,-32 C29,-22 16,-20 0,-21 C-20,-18 -33,-20 -33,-32Z",
                fur,
            ),
            _stripes(far, ((-18, -38), (-8, -39), (2, -39))),
            group(_legs(legs[1], fur, 8.5), transform="scale(0.92 0.8)"),
            group(_cat_head(fur, far, light), transform="translate(32 -46)"),
        )
    )


def _sleeping_cat(fur: str, far: str, light: str) -> str:
    return "".join(
        (
            path("M-36,-2 C-42,-28 -14,-36 6,-32 C26,-30 38,-16 34,-2Z", fur),
            _stripes(far, ((-20, -27), (-10, -31), (0, -32))),
            curve("M-33,-4 C-20,2 2,1 12,-3", far, 7),
            group(_cat_head(fur, far, light, asleep=True), transform="translate(25 -15) rotate(10)"),
        )
    )


def _stripes(colour: str, tops: tuple[Point, ...]) -> str:
    return "".join(curve(f"M{x},{y} q3,5 1,10", colour, 2.6, opacity=0.7) for x, y in tops)


def _cat_head(fur: str, far: str, light: str, *, asleep: bool = False) -> str:
    eyes = (
        curve("M-1,-1 q2.5,2.5 5,0 M8,-1 q2.5,2.5 5,0", _INK, 1.3)
        if asleep
        else "".join(ellipse(x, -1.5, 2.4, 2.9, "#cfe06a") + ellipse(x + 0.4, -1.5, 1.1, 2.6, _INK) for x in (1.2, 10))
    )
    whiskers = "M10,4 l11,-2 M10,5.5 l11,1 M0,4 l-10,-1 M0,5.5 l-10,2"
    return "".join(
        (
            path(
                "M-10,-6 L-10,-22 L2,-12Z M8,-12 L18,-21 L17,-5Z",
                fur,
                stroke=fur,
                stroke_width=2,
                stroke_linejoin="round",
            ),
            path("M-7.5,-9 L-8,-17 L-1,-11Z M11,-11 L15.5,-16.5 L15,-8Z", "#e79a9a"),
            ellipse(4, 0, 15.5, 13, fur),
            curve("M4,-12 v5 M0,-11.5 v3.5 M8,-11.5 v3.5", far, 1.8, opacity=0.7),
            ellipse(5.5, 5.5, 7, 4.6, light),
            eyes,
            path("M3.6,3 h4 l-2,2.4Z", "#d9777a"),
            curve(whiskers, lighter(far, 0.45), 0.7),
        )
    )


def _legs(legs: tuple[_Leg, ...], colour: str, width: float) -> str:
    return "".join(line(leg, colour, width) + ellipse(leg[-1][0] + 3, leg[-1][1] + 0.8, 6, 3.6, colour) for leg in legs)


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


def _hoofed(legs: tuple[_Leg, ...], colour: str, width: float) -> str:
    pieces = []
    for leg in legs:
        (kx, ky), (fx, fy) = leg[-2], leg[-1]
        hoof = ((fx + (kx - fx) * 0.16, fy - 2 + (ky - fy) * 0.16), (fx, fy - 2))
        pieces.append(line([*leg[:-1], hoof[1]], colour, width) + line(hoof, "#2a2028", width))
    return "".join(pieces)


def duck(colour: str, action: str) -> str:
    """Sits on the water line y = 0 when it swims."""
    plumage = {"yellow": "#f9d04a", "white": "#fbf9f3", "brown": "#8e6a4a"}[colour]
    head = "#2f7d56" if colour == "brown" else plumage
    wing = darker(plumage, 0.16)
    feet = "" if action == "swimming" else curve("M-2,-10 v9 h7 M-12,-10 v9 h7", "#f08a24", 3)
    lift = 0 if action == "swimming" else -8
    bird = "".join(
        (
            path(
                "M-38,-22 C-30,-12 -20,-20 -8,-22 C6,-24 16,-24 22,-18 C30,-8 16,4 -6,4 C-28,4 -36,-8 -38,-22Z", plumage
            ),
            line([(14, -14), (17, -34)], head, 12),
            circle(19, -38, 11, head),
            line([(11, -24), (22, -23)], "#fbf9f3", 3) if colour == "brown" else "",
            path("M27,-41 C34,-42 41,-39 42,-36 C38,-32 31,-33 27,-34Z", "#f08a24"),
            circle(22.5, -41, 2, _INK),
            path("M-22,-14 C-12,-20 4,-18 10,-8 C0,0 -16,0 -22,-14Z", wing),
            curve("M-12,-8 q6,5 14,1", darker(plumage, 0.3), 1.6),
        )
    )
    return feet + group(bird, transform=f"translate(0 {lift - 2})")


def bird(colour: str, action: str) -> str:
    """A flying bird is drawn around (0, -20)."""
    plumage = PAINT[colour]
    wing, belly = darker(plumage, 0.25), lighter(plumage, 0.5)
    beak = "#f5a02a" if colour not in ("orange", "yellow") else "#c8571c"
    head = "".join(
        (
            circle(17, -27, 9, plumage),
            path("M24,-30 L35,-26 L24,-23.5Z", beak),
            circle(19.5, -29, 1.9, _INK),
            circle(20, -29.6, 0.6, "#ffffff"),
        )
    )
    if action == "flying":
        return "".join(
            (
                path("M2,-24 C6,-48 20,-58 34,-60 C32,-44 24,-28 12,-20Z", darker(plumage, 0.38)),
                path("M-16,-20 L-42,-28 L-38,-18 L-43,-10 Z", wing),
                path("M-22,-20 C-16,-32 10,-34 22,-26 C22,-12 2,-6 -22,-18Z", plumage),
                path("M-8,-14 C4,-10 16,-14 21,-22 C12,-18 2,-17 -8,-14Z", belly),
                head,
                path("M-10,-22 C-28,-42 -24,-58 -18,-68 C0,-58 10,-40 9,-22Z", wing),
                curve("M-14,-52 C-6,-44 0,-36 2,-28 M-17,-42 C-11,-36 -6,-30 -4,-26", darker(plumage, 0.4), 1.5),
            )
        )
    return "".join(
        (
            curve("M-2,-9 v8 h5 M5,-9 v8 h5", "#8a5a2a", 1.8),
            path("M-16,-18 L-40,-14 L-37,-7 L-14,-10Z", wing),
            path("M-20,-16 C-16,-32 8,-36 22,-26 C24,-10 6,-4 -8,-7 C-16,-9 -20,-12 -20,-16Z", plumage),
            path("M2,-8 C16,-8 22,-16 22,-24 C14,-20 8,-14 2,-8Z", belly),
            path("M-24,-14 C-14,-28 2,-28 8,-20 C0,-10 -14,-8 -24,-14Z", wing),
            head,
        )
    )


def fish(colour: str, action: str) -> str:
    """Drawn around (0, -20), swimming to the right."""
    scales = PAINT[colour]
    dark, light = darker(scales, 0.25), lighter(scales, 0.45)
    return "".join(
        (
            path("M-24,-20 C-34,-36 -46,-38 -48,-34 C-42,-26 -42,-14 -48,-6 C-46,-2 -34,-4 -24,-20Z", dark),
            path("M-8,-34 C-4,-48 14,-46 16,-36Z", dark),
            path("M-4,-7 C-2,3 8,4 12,-6Z", dark),
            path("M-30,-20 C-18,-42 18,-44 34,-20 C18,2 -18,1 -30,-20Z", scales),
            path("M-20,-12 C-6,2 20,-1 34,-20 C16,-10 -4,-8 -20,-12Z", light),
            path("M13,-36 C8,-28 8,-12 13,-5 C17,-8 18,-30 13,-36Z", light, opacity=0.85),
            path("M-10,-34 C-14,-26 -14,-14 -10,-6 C-6,-8 -5,-30 -10,-34Z", light, opacity=0.85),
            path("M-2,-19 C4,-25 10,-21 9,-16 C4,-12 -1,-14 -2,-19Z", dark),
            circle(23.5, -24, 4.4, "#ffffff"),
            circle(24.5, -24, 2.4, _INK),
            curve("M29,-15 q-3,2 -6,1", darker(scales, 0.5), 1.4),
        )
    )
