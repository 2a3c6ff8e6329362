"""What is in a picture, as data: drawing and sentences both start from a `Scene`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prop:
    """Something a person uses: a ball, a balloon, a bike ..."""

    kind: str
    colour: str


@dataclass(frozen=True)
class Group:
    """`count` of one kind, all alike; for people `colour` is that of the `clothes`."""

    kind: str
    count: int = 1
    colour: str | None = None
    action: str = "standing"
    clothes: str | None = None
    prop: Prop | None = None


@dataclass(frozen=True)
class Scene:
    """One picture. `relation` says where `main` is, seen from `other`; `key` seeds all that no sentence tells."""

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
        """What no two scenes of a gallery share; `other` is left out so that no sentence is true of two pictures."""
        return (self.place, self.weather, self.main)
