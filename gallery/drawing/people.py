"""People: a skeleton takes a pose; clothes, face and hair are drawn over it. A man is about 100 units high.

A pose gives angles in degrees: 0 hangs straight down, positive turns forward (to the right). Each limb is a pair
(upper bone, lower bone); limbs come as (far, near).
"""

from dataclasses import dataclass
from math import cos, hypot, radians, sin

from gallery.drawing.svg import Point, circle, curve, darker, ellipse, group, lighter, line, mix, path, polygon, put

Limbs = tuple[tuple[float, float], tuple[float, float]]

_INK = "#2a2430"
_FRINGE = {"man": 4.2, "boy": 3, "woman": 1.5, "girl": 2.2}  # height of the hair's edge over the middle of the head


@dataclass(frozen=True)
class Pose:
    legs: Limbs
    arms: Limbs
    lean: float = 0


@dataclass(frozen=True)
class Body:
    hip: float  # height of the hip over the ground
    trunk: float
    arm: float
    head: float  # radius
    shoulders: float  # half width
    waist: float  # half width
    sleeve: float  # stroke width
    leg: float  # stroke width


@dataclass(frozen=True)
class Look:
    """What one person looks like: colours as `#rrggbb`, clothes as a word."""

    clothes: str  # shirt, jacket or dress
    cloth: str
    skin: str
    hair: str
    trousers: str


@dataclass(frozen=True)
class Figure:
    """A drawn person on y = 0: the SVG text, where the leading hand and foot are, and the height of the hip."""

    art: str
    hand: Point
    foot: Point
    hip: float


_STILL: Limbs = ((-7, -5), (7, 5))

POSES = {
    "standing": Pose(_STILL, ((-18, -6), (18, 10))),
    "walking": Pose(((-22, -34), (26, 12)), ((28, 46), (-26, -8)), lean=3),
    "running": Pose(((-26, -78), (46, 6)), ((52, 128), (-58, 28)), lean=12),
    "waving": Pose(_STILL, ((-20, -8), (128, 168))),
    "holding": Pose(_STILL, ((-18, -6), (58, 112))),
    "flying": Pose(((-14, -18), (14, 6)), ((-30, -10), (112, 138)), lean=-5),
    "sitting": Pose(((118, 28), (112, 18)), ((-38, -12), (44, 66)), lean=-8),
    "seated": Pose(((86, 4), (90, 0)), ((20, 50), (26, 62))),
    "playing": Pose(((-16, -26), (44, 38)), ((-60, -40), (48, 88)), lean=-6),
    "skiing": Pose(((38, -26), (48, -22)), ((40, 84), (34, 78)), lean=26),
    "surfing": Pose(((-58, -4), (58, -6)), ((-84, -70), (78, 92)), lean=8),
    "riding": Pose(((80, -5), (25, 12)), ((54, 46), (50, 44)), lean=30),
}

BODIES = {
    "man": Body(hip=45, trunk=31, arm=33, head=10.5, shoulders=10, waist=7.5, sleeve=7.5, leg=9.5),
    "woman": Body(hip=44, trunk=29, arm=31, head=10.5, shoulders=8, waist=6, sleeve=6.5, leg=8.5),
    "boy": Body(hip=28, trunk=23, arm=23, head=11.5, shoulders=7.5, waist=6.5, sleeve=6.5, leg=8.5),
    "girl": Body(hip=27, trunk=22, arm=22, head=11.5, shoulders=6.5, waist=6, sleeve=6, leg=8),
}


def person(kind: str, look: Look, pose: Pose | str) -> Figure:
    body = BODIES[kind]
    pose = POSES[pose] if isinstance(pose, str) else pose
    legs = [
        _limb((side * body.waist * 0.45, 0), angles, body.hip / 2)
        for side, angles in zip((-1, 1), pose.legs, strict=True)
    ]
    ground = max(max(y for leg in legs for _, y in leg) + 3, 7)
    lean = radians(pose.lean)
    neck = (body.trunk * sin(lean), -body.trunk * cos(lean))
    arms = [
        _limb((neck[0] + side * (body.shoulders - 2), neck[1] + 4), angles, body.arm / 2)
        for side, angles in zip((-1, 1), pose.arms, strict=True)
    ]
    head = (neck[0] + sin(lean) * 8 + 1, neck[1] - 2 - body.head)
    sleeve = darker(look.cloth, 0.16)
    pieces = (
        put(hair_behind(kind, look), *head, body.head / 10),
        _arm(arms[0], look, sleeve, body),
        _leg(legs[0], look, body, darker(look.trousers, 0.2)),
        _leg(legs[1], look, body, look.trousers),
        _trunk(look, body, neck, legs),
        line([(neck[0], neck[1] - 4), (neck[0] * 1.02, neck[1] + 2)], darker(look.skin, 0.1), body.head * 0.7),
        put(face(look) + hair(kind, look), *head, body.head / 10),
        _arm(arms[1], look, sleeve if look.clothes == "dress" else mix(look.cloth, sleeve, 0.5), body),
    )
    (hand_x, hand_y), (foot_x, foot_y) = arms[1][-1], legs[1][-1]
    art = group("".join(pieces), transform=f"translate(0 {-ground:.1f})")
    return Figure(art, (hand_x, hand_y - ground), (foot_x, foot_y - ground), ground)


def face(look: Look) -> str:
    return "".join(
        (
            circle(0, 0, 10, look.skin),
            circle(-9.2, 1, 2.2, darker(look.skin, 0.1)),
            ellipse(1.2, -0.2, 1, 1.3, _INK),
            ellipse(6.6, -0.2, 1, 1.3, _INK),
            curve("M1.6,4.2 q2.4,2.6 4.8,0", "#8c3b34", 1.1),
            circle(-1.2, 3.4, 1.7, "#e8604f", opacity=0.28),
            circle(8.2, 3.4, 1.3, "#e8604f", opacity=0.28),
        )
    )


def hair(kind: str, look: Look) -> str:
    """Hair over the head; with a jacket, a woollen hat."""
    if look.clothes == "jacket":
        wool, rim = darker(look.cloth, 0.35), lighter(look.cloth, 0.55)
        cap = path("M-10.4,-2.5 C-10,-16 10,-16 10.4,-2.5Z", wool)
        return cap + line([(-9.5, -3), (9.5, -3)], rim, 3.4) + circle(0, -13.5, 3, rim)
    edge = _FRINGE[kind]
    fringe = f"C7,{-edge - 3:.1f} 1,{-edge - 3.5:.1f} -5,{-edge:.1f} C-7,-2 -7.2,1 -7.8,2.5Z"
    return path(f"M-10.6,2 C-13,-14 9,-16 10.2,-2.5 {fringe}", look.hair)


def hair_behind(kind: str, look: Look) -> str:
    """What falls behind the neck: a woman's long hair, a girl's bunches."""
    if kind == "woman":
        return path("M-11,0 C-15,14 -12,20 -5,20 L5,12 L9,0Z", darker(look.hair, 0.12))
    if kind != "girl":
        return ""
    return "".join(
        ellipse(side * 11.8, 3.5, 4.2, 7.2, look.hair, transform=f"rotate({-side * 18})")
        + circle(side * 10.2, -2.5, 2, lighter(look.cloth, 0.2))
        for side in (-1, 1)
    )


def _limb(start: Point, angles: tuple[float, float], bone: float) -> list[Point]:
    points = [start]
    for angle in angles:
        x, y = points[-1]
        points.append((x + bone * sin(radians(angle)), y + bone * cos(radians(angle))))
    return points


def _arm(arm: list[Point], look: Look, cloth: str, body: Body) -> str:
    (ex, ey), (hx, hy) = arm[1], arm[2]
    hand = circle(hx, hy, body.sleeve * 0.52, look.skin)
    if look.clothes == "jacket":
        wrist = (ex + (hx - ex) * 0.85, ey + (hy - ey) * 0.85)
        return hand + line([arm[0], arm[1], wrist], cloth, body.sleeve)
    return line(arm[1:], look.skin, body.sleeve * 0.8) + hand + line([arm[0], arm[1]], cloth, body.sleeve)


def _leg(leg: list[Point], look: Look, body: Body, trousers: str) -> str:
    (kx, ky), (fx, fy) = leg[1], leg[2]
    length = hypot(fx - kx, fy - ky)
    toe = (fx + 5 * (fy - ky) / length, fy + 5 * (kx - fx) / length)
    bare = look.clothes == "dress"
    limb = line(leg, look.skin if bare else trousers, body.leg * (0.75 if bare else 1))
    return limb + line([(fx, fy), toe], "#3a3340" if not bare else darker(look.cloth, 0.45), body.leg * 0.72)


def _trunk(look: Look, body: Body, neck: Point, legs: list[list[Point]]) -> str:
    x, y = neck
    top = [(x - body.shoulders + 1.5, y + 4), (x + body.shoulders - 1.5, y + 4)]
    if look.clothes == "dress":
        return _dress(look, body, neck, legs)
    hem = 3.5 if look.clothes == "jacket" else 0
    outline = [*top, (body.waist - 1, hem), (-body.waist + 1, hem)]
    shape = polygon(outline, look.cloth, stroke=look.cloth, stroke_width=5, stroke_linejoin="round")
    if look.clothes == "jacket":
        zip_line = line([(x + 2, y + 4), (2, hem)], lighter(look.cloth, 0.45), 1.4)
        collar = line([(x - 4, y + 1), (x + 5, y + 1)], darker(look.cloth, 0.25), 5)
        return shape + zip_line + collar
    return shape + curve(f"M{x - 4:.1f},{y + 1.5:.1f} q4.5,5 9,0", lighter(look.cloth, 0.4), 1.6)


def _dress(look: Look, body: Body, neck: Point, legs: list[list[Point]]) -> str:
    x, y = neck
    left = min(-body.waist - 6, *(leg[1][0] - 4 for leg in legs))
    right = max(body.waist + 6, *(leg[1][0] + 4 for leg in legs))
    low, waist, wide = body.hip * 0.42, body.waist - 1, body.shoulders
    bodice = f"M{x - wide:.1f},{y + 4:.1f} Q{x:.1f},{y - 2:.1f} {x + wide:.1f},{y + 4:.1f} L{waist:.1f},-6"
    hem = f"{right:.1f},{low:.1f} Q0,{low + 6:.1f} {left:.1f},{low:.1f}"
    skirt = f"Q{right:.1f},{low / 2:.1f} {hem} Q{left:.1f},{low / 2:.1f} {-waist:.1f},-6Z"
    belt = line([(-waist, -6), (waist, -6)], darker(look.cloth, 0.25), 2.6)
    cloth = path(f"{bodice} {skirt}", look.cloth, stroke=look.cloth, stroke_width=3, stroke_linejoin="round")
    return cloth + curve(f"M{hem}", lighter(look.cloth, 0.45), 1.8) + belt
