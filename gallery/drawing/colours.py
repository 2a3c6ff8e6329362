"""Named colours of the illustrations and the arithmetic on them."""

PAINT = {
    "red": "#e0453c",
    "blue": "#2f7fd8",
    "green": "#37a35c",
    "yellow": "#fbcb3c",
    "orange": "#f4872b",
    "purple": "#8a55c8",
    "pink": "#f58ab5",
    "brown": "#8d5a36",
    "black": "#2c2e3a",
    "white": "#faf8f2",
}

FUR = {
    "brown": "#99602f",
    "black": "#30313d",
    "white": "#faf6ee",
    "orange": "#ec8c3a",
    "yellow": "#eebf5c",
    "gray": "#8b919e",
}

SKIN = ("#f6cfae", "#eab98d", "#cf9468", "#a56d45", "#7c4d31")
HAIR = ("#2b2226", "#4a2e22", "#7a4a28", "#b9793c", "#e0b25c")
TROUSERS = ("#33415f", "#4f5d75", "#6b5b4d", "#3c3f4a", "#56708f")


def mix(first: str, second: str, share: float) -> str:
    """The colour `share` of the way (0..1) from `first` to `second`, both `#rrggbb`."""
    one, two = (bytes.fromhex(colour[1:]) for colour in (first, second))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))


def darker(colour: str, share: float = 0.2) -> str:
    return mix(colour, "#1c2040", share)


def lighter(colour: str, share: float = 0.25) -> str:
    return mix(colour, "#ffffff", share)
