"""The places, as data: who may be there, doing what, next to what."""

from dataclasses import dataclass

from gallery.scene import PEOPLE

SIDES = ("left", "right", "next")
_BESIDE = (*SIDES, "front")
_TALL = ("under", "next", "front", "left", "right")


@dataclass(frozen=True)
class Place:
    """`near` and `far` are base lines as shares of the height; `hides` are the colours that vanish there."""

    near: float
    far: float
    weathers: tuple[str, ...]
    hides: tuple[str, ...]
    mains: dict[str, tuple[str, ...]]  # kind -> actions
    others: dict[str, tuple[str, ...]]  # kind -> relations
    water: float | None = None  # base line of what swims behind those who stand near
    people: tuple[str, ...] = ()

    def actions(self, kind: str) -> tuple[str, ...]:
        return self.people if kind in PEOPLE else self.mains[kind]

    @property
    def kinds(self) -> tuple[str, ...]:
        return (*self.mains, *(PEOPLE if self.people else ()))


_ALL = ("sunny", "sunny", "rainy", "night", "sunset", "foggy")
_DOG = ("running", "sitting", "standing")
_FREE = ("standing", "running", "sitting", "waving", "balloon", "umbrella", "kite", "playing")

PLACES = {
    "beach": Place(
        0.9,
        0.76,
        _ALL,
        ("yellow",),
        {"dog": _DOG, "horse": ("running", "standing"), "bird": ("flying", "standing")},
        {
            "parasol": ("under", *SIDES),
            "palm": _TALL,
            "boat": ("front",),
            "sailboat": ("front",),
            "lighthouse": ("front",),
            "ball": SIDES,
            "dog": SIDES,
            "tent": _BESIDE,
        },
        water=0.57,
        people=_FREE,
    ),
    "field": Place(
        0.9,
        0.72,
        _ALL,
        ("green",),
        {
            "dog": _DOG,
            "horse": ("running", "standing"),
            "sheep": ("standing", "eating"),
            "bird": ("flying",),
            "balloon": ("flying",),
        },
        {
            "tree": _TALL,
            "house": ("front",),
            "tent": _BESIDE,
            "flowers": SIDES,
            "horse": SIDES,
            "sheep": SIDES,
            "dog": SIDES,
            "bicycle": _BESIDE,
        },
        people=(*_FREE, "riding"),
    ),
    "park": Place(
        0.9,
        0.75,
        _ALL,
        ("green",),
        {"dog": _DOG, "cat": ("sitting", "walking", "sleeping"), "bird": ("standing", "flying")},
        {
            "bench": ("front", "on", "on", *SIDES),
            "tree": _TALL,
            "flowers": SIDES,
            "ball": SIDES,
            "dog": SIDES,
            "bicycle": _BESIDE,
        },
        people=(*_FREE, "riding"),
    ),
    "forest": Place(
        0.9,
        0.76,
        ("sunny", "rainy", "night", "foggy"),
        ("green", "brown"),
        {"dog": _DOG, "horse": ("standing", "running"), "bird": ("standing", "flying")},
        {
            "tent": _BESIDE,
            "bench": ("front", *SIDES),
            "house": ("front",),
            "flowers": SIDES,
            "dog": SIDES,
            "bicycle": _BESIDE,
        },
        people=("standing", "running", "walking", "sitting", "waving", "umbrella", "riding", "balloon"),
    ),
    "road": Place(
        0.88,
        0.715,
        _ALL,
        ("black", "green"),
        {
            "car": ("driving",),
            "bus": ("driving",),
            "truck": ("driving",),
            "dog": ("running", "standing"),
            "horse": ("running",),
        },
        {"house": ("front",), "tree": ("front",), "balloon": ("under",), "plane": ("under",), "bird": ("under",)},
        people=("riding", "running", "walking", "umbrella"),
    ),
    "street": Place(
        0.9,
        0.76,
        _ALL,
        ("black", "gray"),
        {
            "car": ("driving",),
            "bus": ("driving",),
            "truck": ("driving",),
            "dog": ("standing", "running", "sitting"),
            "cat": ("walking", "sitting"),
        },
        {
            "tree": ("front",),
            "bench": ("front",),
            "bicycle": ("front", *SIDES),
            "dog": SIDES,
            "plane": ("under",),
            "balloon": ("under",),
            "bird": ("under",),
        },
        people=("standing", "walking", "running", "waving", "umbrella", "balloon", "riding"),
    ),
    "snow": Place(
        0.9,
        0.75,
        ("sunny", "snowy", "snowy", "night", "sunset", "foggy"),
        ("white",),
        {"dog": _DOG, "horse": ("running", "standing"), "bird": ("flying", "standing")},
        {
            "snowman": SIDES,
            "pine": ("next", "front", "left", "right"),
            "house": ("front",),
            "tent": _BESIDE,
            "dog": SIDES,
            "ball": SIDES,
        },
        people=("skiing", "skiing", "standing", "running", "waving", "playing", "sitting"),
    ),
    "ocean": Place(
        0.84,
        0.6,
        _ALL,
        ("blue",),
        {"boat": ("floating",), "sailboat": ("floating",), "bird": ("flying",), "plane": ("flying",)},
        {
            "lighthouse": ("front", "left", "right"),
            "sailboat": SIDES,
            "boat": SIDES,
            "bird": ("under",),
            "plane": ("under",),
            "balloon": ("under",),
        },
        people=("surfing",),
    ),
    "lake": Place(
        0.86,
        0.66,
        _ALL,
        ("blue", "green"),
        {
            "duck": ("swimming",),
            "boat": ("floating",),
            "sailboat": ("floating",),
            "bird": ("flying",),
            "balloon": ("flying",),
        },
        {"boat": SIDES, "sailboat": SIDES, "duck": SIDES, "bird": ("under",), "balloon": ("under",)},
    ),
    "mountains": Place(
        0.9,
        0.74,
        _ALL,
        ("green",),
        {
            "horse": ("running", "standing"),
            "sheep": ("standing", "eating"),
            "balloon": ("flying",),
            "plane": ("flying",),
            "bird": ("flying",),
            "dog": _DOG,
        },
        {"tent": _BESIDE, "house": ("front",), "pine": _BESIDE, "flowers": SIDES, "dog": SIDES, "balloon": ("under",)},
        people=("standing", "walking", "waving", "sitting", "kite", "riding", "running"),
    ),
    "room": Place(
        0.92,
        0.8,
        ("",),
        ("white",),
        {"dog": ("sitting", "standing"), "cat": ("sitting", "sleeping", "walking")},
        {"couch": ("front", "on", "on", "next"), "lamp": SIDES, "plant": SIDES, "ball": SIDES},
        people=("standing", "waving", "sitting", "balloon", "playing"),
    ),
    "underwater": Place(0.9, 0.8, ("",), ("blue", "green"), {"fish": ("swimming",)}, {"fish": SIDES}),
    "tracks": Place(
        0.86,
        0.7,
        _ALL,
        ("green",),
        {"train": ("moving",)},
        {"house": ("front",), "tree": ("front",), "balloon": ("under",), "bird": ("under",), "plane": ("under",)},
    ),
}

# who can be `above` what: filled in for everything that flies
ABOVE = {
    "beach": ("palm", "sailboat", "parasol"),
    "field": ("tree", "house", "flowers", "horse"),
    "park": ("tree", "bench", "flowers"),
    "forest": ("tent", "house"),
    "snow": ("house", "pine", "snowman"),
    "ocean": ("boat", "sailboat", "lighthouse"),
    "lake": ("boat", "sailboat", "duck"),
    "mountains": ("tent", "house", "pine"),
}
LYING = {"dog": ("sitting",), "cat": ("sitting", "sleeping")}  # animals that may be `on` a couch
