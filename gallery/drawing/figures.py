"""One drawn figure for a group of a scene, with clothes and props, in units of a man of 100."""

from collections.abc import Callable
from random import Random

from gallery.drawing import animals, birds, craft, farm, plants, props, things, vehicles
from gallery.drawing.people import BODIES, Figure, Look, person
from gallery.drawing.svg import HAIR, PAINT, SKIN, TROUSERS, put
from gallery.drawing.view import Light
from gallery.scene import KINDS, PEOPLE, Group

_MOVING: dict[str, Callable[[str, str], str]] = {
    "dog": animals.dog,
    "cat": animals.cat,
    "horse": farm.horse,
    "sheep": farm.sheep,
    "duck": birds.duck,
    "bird": birds.bird,
    "fish": birds.fish,
    "car": vehicles.car,
    "bus": vehicles.bus,
    "truck": vehicles.truck,
    "train": vehicles.train,
    "boat": craft.boat,
    "sailboat": craft.sailboat,
    "bicycle": vehicles.bicycle,
    "balloon": craft.hot_air_balloon,
    "plane": craft.plane,
}
_STANDING: dict[str, Callable[[str], str]] = {
    "house": things.house,
    "bench": things.bench,
    "tent": things.tent,
    "ball": things.ball,
    "flowers": plants.flowers,
    "lighthouse": things.lighthouse,
    "snowman": things.snowman,
    "parasol": things.beach_umbrella,
    "couch": things.couch,
    "lamp": things.lamp,
    "plant": plants.plant,
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
        return plants.pine(light.soften("#2f7a55"), snow=place == "snow")
    return plants.palm() if kind == "palm" else plants.tree(light.soften(rng.choice(_CROWNS)))


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
        return drawn.art + props.skis(drawn.hand)
    if group.prop is None:
        return drawn.art
    return _with_prop(group, drawn, group.prop.colour)


def _with_prop(group: Group, drawn: Figure, colour: str) -> str:
    if group.action == "riding":
        size = BODIES[group.kind].hip / 45
        bicycle = put(vehicles.bicycle(colour, ""), 0, 0, 1.05 * size)
        return bicycle + put(drawn.art, _SADDLE[0] * size, _SADDLE[1] * size + drawn.hip)
    if group.action == "surfing":
        return props.surfboard(colour) + put(drawn.art, 0, 2) + props.surf()
    if group.action == "playing":
        return put(drawn.art + put(things.ball(colour), drawn.foot[0] + 24, 0, 0.95), -20, 0)
    held = {"balloon": props.balloon, "umbrella": props.umbrella, "kite": props.kite}
    tilt = -16 if group.action == "umbrella" else 0  # over the head, not before it
    return put(held[group.action](colour), *drawn.hand, turn=tilt) + drawn.art
