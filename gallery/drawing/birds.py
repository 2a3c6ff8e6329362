"""Ducks, birds and fish, seen from the side, facing right."""

from gallery.drawing.svg import PAINT, circle, curve, darker, group, lighter, line, path

_INK = "#20202a"


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
