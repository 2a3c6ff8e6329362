"""How things are said, as data; the words are those that people use for photographs of the same things."""

from dataclasses import dataclass

NUMBERS = ("", "a", "two", "three", "four", "five")

NOUNS: dict[str, tuple[str, ...]] = {  # singular; the first is the plain word, the others mean the same
    "man": ("man",),
    "woman": ("woman",),
    "boy": ("boy", "little boy", "young boy"),
    "girl": ("girl", "little girl", "young girl"),
    "dog": ("dog",),
    "cat": ("cat",),
    "horse": ("horse",),
    "sheep": ("sheep",),
    "duck": ("duck",),
    "bird": ("bird",),
    "fish": ("fish",),
    "car": ("car",),
    "bus": ("bus",),
    "truck": ("truck",),
    "train": ("train",),
    "boat": ("boat",),
    "sailboat": ("sailboat",),
    "bicycle": ("bicycle", "bike"),
    "balloon": ("hot air balloon",),
    "plane": ("plane", "airplane"),
    "house": ("house",),
    "tree": ("tree",),
    "pine": ("pine tree", "tree"),
    "palm": ("palm tree",),
    "bench": ("bench",),
    "tent": ("tent",),
    "ball": ("ball",),
    "flowers": ("flowers",),
    "lighthouse": ("lighthouse",),
    "snowman": ("snowman",),
    "parasol": ("beach umbrella", "umbrella"),
    "couch": ("couch", "sofa"),
    "lamp": ("lamp",),
    "plant": ("plant",),
}
PLURALS = {
    "man": "men",
    "woman": "women",
    "sheep": "sheep",
    "fish": "fish",
    "flowers": "flowers",
    "bus": "buses",
    "bench": "benches",
    "couch": "couches",
    "snowman": "snowmen",
}
MASS = {"flowers"}  # said without an article
TRIMMED = {"snowman": "scarf", "plant": "pot"}  # the part that carries the colour

GENERAL = {"man": ("person",), "woman": ("person", "lady"), "boy": ("child", "kid"), "girl": ("child", "kid")}
GENERAL_PLURALS = {"person": "people", "lady": "ladies", "child": "children", "kid": "kids"}


@dataclass(frozen=True)
class Verb:
    """The forms of an action, with what always follows it."""

    ing: str
    one: str
    many: str
    rest: str = ""


VERBS: dict[str, tuple[Verb, ...]] = {
    "standing": (Verb("standing", "stands", "stand"),),
    "running": (Verb("running", "runs", "run"),),
    "walking": (Verb("walking", "walks", "walk"),),
    "sitting": (Verb("sitting", "sits", "sit"),),
    "sleeping": (Verb("sleeping", "sleeps", "sleep"),),
    "waving": (Verb("waving", "waves", "wave"),),
    "eating": (Verb("eating", "eats", "eat", "grass"),),
    "swimming": (Verb("swimming", "swims", "swim"),),
    "flying": (Verb("flying", "flies", "fly"),),
    "floating": (Verb("floating", "floats", "float"), Verb("sailing", "sails", "sail")),
    "driving": (Verb("driving", "drives", "drive"),),
    "moving": (Verb("moving", "moves", "move"), Verb("traveling", "travels", "travel")),
    "skiing": (Verb("skiing", "skis", "ski"),),
    "playing": (Verb("playing", "plays", "play", "with"), Verb("playing", "plays", "play", "with")),
    "balloon": (Verb("holding", "holds", "hold"), Verb("standing", "stands", "stand", "with")),
    "umbrella": (Verb("holding", "holds", "hold"), Verb("standing", "stands", "stand", "with")),
    "kite": (Verb("flying", "flies", "fly"), Verb("playing", "plays", "play", "with")),
    "riding": (Verb("riding", "rides", "ride"),),
    "surfing": (Verb("surfing", "surfs", "surf", "on"), Verb("riding", "rides", "ride", "a wave on")),
}
PROP_NOUNS = {
    "ball": ("ball",),
    "balloon": ("balloon",),
    "umbrella": ("umbrella",),
    "kite": ("kite",),
    "bike": ("bike", "bicycle"),
    "surfboard": ("surfboard",),
}
PROP_PLURALS = {"bike": "bikes", "bicycle": "bicycles"}


@dataclass(frozen=True)
class Where:
    """Ways to name a place for who stays, for who moves along, for who flies over it."""

    still: tuple[str, ...]
    along: tuple[str, ...]
    over: tuple[str, ...]


WHERE = {
    "beach": Where(
        ("on the beach", "on a beach", "on the sand"),
        ("on the beach", "along the beach", "on a sandy beach"),
        ("over the beach", "over a beach"),
    ),
    "field": Where(
        ("in a field", "in a grassy field", "on the grass"),
        ("through a field", "in a green field", "through the grass"),
        ("over a field", "over a green field"),
    ),
    "park": Where(
        ("in the park", "in a park", "at the park"),
        ("in the park", "through the park", "through a park"),
        ("over the park", "over a park"),
    ),
    "forest": Where(
        ("in the forest", "in the woods", "in a forest"),
        ("through the forest", "through the woods", "in the woods"),
        ("in the forest", "in the woods"),
    ),
    "road": Where(
        ("on the road", "on a road"),
        ("down the road", "down a road", "on a country road"),
        ("over the road", "over a road"),
    ),
    "street": Where(
        ("on a city street", "in the city", "on the street"),
        ("down a city street", "down the street in the city", "on a city street"),
        ("over the city", "over a city"),
    ),
    "snow": Where(
        ("in the snow", "in a snowy field", "on the snow"),
        ("through the snow", "in the snow", "across the snow"),
        ("over the snow", "over a snowy field"),
    ),
    "ocean": Where(
        ("in the ocean", "on the ocean", "in the sea"),
        ("in the ocean", "on the ocean", "in the sea"),
        ("over the ocean", "over the sea", "over the water"),
    ),
    "lake": Where(
        ("on a lake", "on the lake", "in a lake"),
        ("in a lake", "on a lake", "across a lake"),
        ("over a lake", "over the lake"),
    ),
    "mountains": Where(
        ("in the mountains", "near the mountains"),
        ("in the mountains", "near the mountains"),
        ("over the mountains", "near the mountains"),
    ),
    "room": Where(
        ("in a living room", "in the living room", "in a room"),
        ("in a living room", "in the living room", "in a room"),
        ("in a living room",),
    ),
    "underwater": Where(
        ("under the water", "under water"), ("under the water", "underwater", "in the blue water"), ("under the water",)
    ),
    "tracks": Where(
        ("on the tracks", "on the train tracks"),
        ("down the tracks through a field", "on the tracks through a green field", "down the train tracks in a field"),
        ("over the tracks",),
    ),
}
ALONG = {"running", "walking", "driving", "moving", "riding", "skiing", "swimming", "surfing", "floating"}

WEATHER = {
    "sunny": ("on a sunny day", "in the sun"),
    "rainy": ("in the rain", "on a rainy day"),
    "snowy": ("while it is snowing", "while snow is falling"),
    "night": ("at night", "under the moon at night"),
    "sunset": ("at sunset", "as the sun sets"),
    "foggy": ("in the fog", "on a foggy day"),
}

RELATIONS = {
    "left": ("to the left of", "on the left of"),
    "right": ("to the right of", "on the right of"),
    "next": ("next to", "beside", "near"),
    "front": ("in front of",),
    "under": ("under", "below"),
    "above": ("above",),
    "on": ("on",),
}
LOOSER = {"left": ("next to", "beside"), "right": ("next to", "beside")}  # true as well, and says less
