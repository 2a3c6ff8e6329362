"""A `Scene` says what a picture shows; drawings and sentences are both made from it. `KINDS` lists the subjects."""

from dataclasses import dataclass

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white")
_BRIGHT = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "white")
_VEHICLE = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "black", "white")

PEOPLE = ("man", "woman", "boy", "girl")
PROPS = {  # action -> prop and the colours it comes in
    "playing": ("ball", _BRIGHT),
    "balloon": ("balloon", _BRIGHT),
    "umbrella": ("umbrella", _BRIGHT),
    "kite": ("kite", _BRIGHT),
    "riding": ("bike", _VEHICLE),
    "surfing": ("surfboard", _BRIGHT),
}


@dataclass(frozen=True)
class Kind:
    """Extents in drawing units around the base point; `size` scales them to a man of 100 units."""

    left: float
    right: float
    height: float
    size: float
    colours: tuple[str, ...] = ()
    most: int = 1  # in one picture


KINDS = {
    "man": Kind(22, 22, 100, 1, COLOURS, 3),
    "woman": Kind(22, 22, 100, 1, COLOURS, 3),
    "boy": Kind(20, 20, 78, 1, COLOURS, 4),
    "girl": Kind(20, 20, 78, 1, COLOURS, 4),
    "dog": Kind(46, 60, 82, 0.75, ("brown", "black", "white", "yellow"), 5),
    "cat": Kind(44, 52, 66, 0.68, ("black", "white", "orange", "gray"), 4),
    "horse": Kind(62, 80, 136, 0.95, ("brown", "black", "white"), 3),
    "sheep": Kind(46, 52, 70, 0.75, ("white", "black", "brown"), 5),
    "duck": Kind(38, 42, 50, 0.7, ("yellow", "white", "brown"), 5),
    "bird": Kind(44, 36, 68, 0.75, ("red", "blue", "yellow", "orange", "black", "white", "brown"), 5),
    "fish": Kind(48, 34, 48, 1, ("orange", "red", "yellow", "blue", "purple", "pink", "white"), 5),
    "car": Kind(78, 78, 64, 1.2, _VEHICLE, 2),
    "bus": Kind(104, 104, 100, 1.25, _VEHICLE, 1),
    "truck": Kind(106, 108, 106, 1.2, _VEHICLE, 1),
    "train": Kind(188, 150, 74, 1.4, _VEHICLE, 1),
    "boat": Kind(72, 80, 94, 1.2, _VEHICLE, 3),
    "sailboat": Kind(58, 66, 152, 1, _BRIGHT),
    "bicycle": Kind(46, 46, 58, 1.05, _VEHICLE, 2),
    "balloon": Kind(58, 58, 152, 1.1, ("red", "blue", "green", "yellow", "orange", "purple", "pink"), 4),
    "plane": Kind(98, 92, 74, 1.1, _VEHICLE),
    "house": Kind(76, 76, 128, 1.7, ("red", "blue", "green", "yellow", "pink", "brown", "white", "orange"), 2),
    "tree": Kind(54, 56, 154, 1.35, (), 3),
    "pine": Kind(46, 46, 140, 1.4, (), 3),
    "palm": Kind(60, 60, 160, 1.3, (), 2),
    "bench": Kind(56, 56, 60, 0.85, ("red", "blue", "green", "brown", "white", "black"), 1),
    "tent": Kind(80, 96, 84, 1.1, ("red", "blue", "yellow", "orange", "purple", "green"), 2),
    "ball": Kind(14, 14, 28, 1.3, _BRIGHT, 3),
    "flowers": Kind(40, 42, 58, 0.9, ("red", "yellow", "pink", "purple", "white", "orange", "blue"), 1),
    "lighthouse": Kind(62, 64, 176, 1.5, ("red", "blue", "black", "green"), 1),
    "snowman": Kind(46, 50, 124, 0.85, ("red", "blue", "green", "yellow", "purple")),
    "parasol": Kind(64, 64, 114, 1.25, _BRIGHT, 2),
    "couch": Kind(84, 84, 74, 1, ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown"), 1),
    "lamp": Kind(27, 27, 128, 1, ("yellow", "red", "orange", "blue"), 1),
    "plant": Kind(38, 38, 100, 0.85, ("red", "blue", "white", "orange"), 1),
}


@dataclass(frozen=True)
class Prop:
    """Something a person uses: a ball, a balloon, a bike ..."""

    kind: str
    colour: str


@dataclass(frozen=True)
class Group:
    """`count` subjects of one kind, all alike; for people `colour` is the colour of their `clothes`."""

    kind: str
    count: int = 1
    colour: str | None = None
    action: str = "standing"
    clothes: str | None = None
    prop: Prop | None = None


@dataclass(frozen=True)
class Scene:
    """One picture. `relation` places `main` relative to `other`; `key` seeds everything that no sentence mentions."""

    key: str
    place: str
    weather: str | None
    main: Group
    other: Group | None = None
    relation: str | None = None
    portrait: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (360, 480) if self.portrait else (480, 360)

    @property
    def signature(self) -> tuple[object, ...]:
        """Unique within a gallery; `other` is left out so that no sentence is true of two pictures."""
        return (self.place, self.weather, self.main)
