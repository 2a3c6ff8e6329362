"""Animals, seen from the side, facing right, standing on y = 0; a dog is about 70 units high."""

from gallery.drawing.svg import FUR, PAINT, Point, circle, curve, darker, ellipse, group, lighter, line, path

_INK = "#20202a"


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


_Leg = tuple[Point, ...]
_Legs = tuple[tuple[_Leg, ...], tuple[_Leg, ...]]

_QUADRUPED_STAND: _Legs = (
    (((-26, -32), (-29, -18), (-26, -4)), ((14, -32), (14, -4))),
    (((-19, -30), (-22, -16), (-18, -4)), ((23, -34), (23, -4))),
)
_QUADRUPED_RUN: _Legs = (
    (((-24, -34), (-30, -18), (-42, -12)), ((16, -34), (32, -22), (36, -9))),
    (((-20, -32), (-34, -22), (-50, -20)), ((22, -34), (40, -30), (50, -20))),
)


def _legs(legs: tuple[_Leg, ...], colour: str, width: float) -> str:
    return "".join(line(leg, colour, width) + ellipse(leg[-1][0] + 3, leg[-1][1] + 0.8, 6, 3.6, colour) for leg in legs)
