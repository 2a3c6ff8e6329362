"""One drawn figure for a group of a scene, with clothes and props, in units of a man of 100."""

from collections.abc import Callable
from random import Random

from gallery.drawing import animals, things, vehicles
from gallery.drawing.people import BODIES, Figure, Look, person
from gallery.drawing.svg import (
    HAIR,
    PAINT,
    SKIN,
    TROUSERS,
    Point,
    circle,
    curve,
    darker,
    ellipse,
    lighter,
    line,
    path,
    polygon,
    put,
)
from gallery.drawing.view import Light
from gallery.scene import KINDS, PEOPLE, Group

_MOVING: dict[str, Callable[[str, str], str]] = {
    "dog": animals.dog,
    "cat": animals.cat,
    "horse": animals.horse,
    "sheep": animals.sheep,
    "duck": animals.duck,
    "bird": animals.bird,
    "fish": animals.fish,
    "car": vehicles.car,
    "bus": vehicles.bus,
    "truck": vehicles.truck,
    "train": vehicles.train,
    "boat": vehicles.boat,
    "sailboat": vehicles.sailboat,
    "bicycle": vehicles.bicycle,
    "balloon": vehicles.hot_air_balloon,
    "plane": vehicles.plane,
}
_STANDING: dict[str, Callable[[str], str]] = {
    "house": things.house,
    "bench": things.bench,
    "tent": things.tent,
    "ball": things.ball,
    "flowers": things.flowers,
    "lighthouse": things.lighthouse,
    "snowman": things.snowman,
    "parasol": things.beach_umbrella,
    "couch": things.couch,
    "lamp": things.lamp,
    "plant": things.plant,
}
_POSES = {"balloon": "holding", "umbrella": "holding", "kite": "flying"}
_SADDLE = (-15.5, -55)
_CROWNS = ("#4c9f50", "#5aa84a", "#3f9460")


def figure(group: Group, rng: Random, light: Light, place: str, *, seated: bool = False) -> str:
    """SVG of one of the group, its middle over x = 0."""
    kind, colour = group.kind, group.colour or ""
    if kind in PEOPLE:
        return _person(group, rng, seated)
    if kind in _MOVING:
        art = _MOVING[kind](colour, group.action)
    elif kind in _STANDING:
        art = _STANDING[kind](colour)
    else:
        art = _tree(kind, rng, light, place)
    size = KINDS[kind].size
    return put(art, (KINDS[kind].left - KINDS[kind].right) / 2 * size, 0, size)


def _tree(kind: str, rng: Random, light: Light, place: str) -> str:
    """Trees are part of the land and take its light, half as much as what is far away."""
    if kind == "pine":
        return things.pine(light.soften("#2f7a55"), snow=place == "snow")
    return things.palm() if kind == "palm" else things.tree(light.soften(rng.choice(_CROWNS)))


def _person(group: Group, rng: Random, seated: bool) -> str:
    cloth = PAINT[group.colour or "white"]
    trousers = rng.choice(
        [colour for colour in TROUSERS if not (colour == TROUSERS[0] and group.colour in ("black", "blue"))]
    )
    skin = rng.choice(SKIN[:3] if group.colour == "brown" else SKIN)
    look = Look(group.clothes or "shirt", cloth, skin, rng.choice(HAIR), trousers)
    pose = "seated" if seated else _POSES.get(group.action, group.action)
    drawn = person(group.kind, look, pose)
    if group.action == "skiing":
        return drawn.art + skis(drawn.hand)
    if group.prop is None:
        return drawn.art
    return _with_prop(group, drawn, group.prop.colour)


def _with_prop(group: Group, drawn: Figure, colour: str) -> str:
    if group.action == "riding":
        size = BODIES[group.kind].hip / 45
        bicycle = put(vehicles.bicycle(colour, ""), 0, 0, 1.05 * size)
        return bicycle + put(drawn.art, _SADDLE[0] * size, _SADDLE[1] * size + drawn.hip)
    if group.action == "surfing":
        return surfboard(colour) + put(drawn.art, 0, 2) + surf()
    if group.action == "playing":
        return put(drawn.art + put(things.ball(colour), drawn.foot[0] + 24, 0, 0.95), -20, 0)
    held = {"balloon": balloon, "umbrella": umbrella, "kite": kite}
    tilt = -16 if group.action == "umbrella" else 0  # over the head, not before it
    return put(held[group.action](colour), *drawn.hand, turn=tilt) + drawn.art


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
