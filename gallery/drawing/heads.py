"""Heads, around (0, 0) with a radius of ten units, and what a person looks like."""

from dataclasses import dataclass

from gallery.drawing.colours import darker, lighter
from gallery.drawing.svg import circle, curve, ellipse, line, path

_INK = "#2a2430"
_FRINGE = {"man": 4.2, "boy": 3, "woman": 1.5, "girl": 2.2}  # height of the hair's edge over the middle of the head


@dataclass(frozen=True)
class Look:
    """What one person looks like: colours as `#rrggbb`, clothes as a word."""

    clothes: str  # shirt, jacket or dress
    cloth: str
    skin: str
    hair: str
    trousers: str


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
