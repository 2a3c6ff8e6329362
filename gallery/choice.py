"""Chooses what each scene shows, from the seed and the scene's number alone."""

from dataclasses import replace
from itertools import count
from random import Random

from gallery.layout import row_units
from gallery.places import ABOVE, LYING, PLACES, SIDES, Place
from gallery.scene import KINDS, PEOPLE, PROPS, Group, Prop, Scene
from imagetext.wire.errors import InvalidParameter

MOST = 5000  # far fewer than there are different scenes, so a new one is found quickly
_INVISIBLE = {  # weather -> colours that cannot be seen in it
    "night": {"black", "brown", "purple"},
    "foggy": {"white"},
    "snowy": {"white"},
    "rainy": {"gray"},
    "sunset": {"brown"},
}
_FLIERS = ("bird", "balloon", "plane")
_NARROW = 190  # units; a man is 100 high


def choose_scenes(seed: int, number: int) -> list[Scene]:
    """`number` scenes with different signatures; scene i does not depend on `number`.

    Raises:
        InvalidParameter: `number` is not between 1 and `MOST`.
    """
    if not 1 <= number <= MOST:
        raise InvalidParameter(f"--number must be between 1 and {MOST}, not {number}.")
    used: set[tuple[object, ...]] = set()
    scenes = []
    for index in range(1, number + 1):
        attempts = (choose_scene(f"{seed}/{index}/{attempt}") for attempt in count())
        scene = next(scene for scene in attempts if scene.signature not in used)
        used.add(scene.signature)
        scenes.append(scene)
    return scenes


def choose_scene(key: str) -> Scene:
    """The scene of a key; the same key always gives the same scene."""
    rng = Random(key)
    name = rng.choice(tuple(PLACES))
    place = PLACES[name]
    weather = rng.choice(place.weathers) or None
    hidden = _hidden(place, weather)
    kind = rng.choice([kind for kind in place.kinds if not hidden.issuperset(KINDS[kind].colours)])
    main = _group(rng, kind, rng.choice(place.actions(kind)), hidden, weather, name)
    scene = Scene(key, name, weather, main, portrait=rng.random() < 0.3)
    if rng.random() < 0.8:
        scene = _with_other(rng, scene, place, hidden)
    return scene if _is_narrow(scene) else replace(scene, portrait=False)


def _is_narrow(scene: Scene) -> bool:
    """Whether the subjects are large enough in an upright picture."""
    if scene.main.action == "flying":
        return scene.main.count <= 2 and (scene.other is None or scene.other.count == 1)
    side = scene.other if scene.relation in SIDES else None
    return row_units(scene.main) + (row_units(side) if side else 0) <= _NARROW


def _hidden(place: Place, weather: str | None) -> set[str]:
    """The colours that cannot be seen in this place and light."""
    return {*place.hides, *_INVISIBLE.get(weather or "", set())}


def _group(rng: Random, kind: str, action: str, hidden: set[str], weather: str | None, place: str) -> Group:
    colours = [colour for colour in KINDS[kind].colours if colour not in hidden]
    colour = rng.choice(colours)
    if kind not in PEOPLE:
        return Group(kind, _count(rng, KINDS[kind].most), colour, action)
    prop = None
    if action in PROPS:
        name, paints = PROPS[action]
        prop = Prop(name, rng.choice([paint for paint in paints if paint != colour and paint not in hidden]))
    few = 2 if prop else KINDS[kind].most
    return Group(kind, _count(rng, few, single=0.7), colour, action, _clothes(rng, kind, action, weather, place), prop)


def _count(rng: Random, most: int, single: float = 0.4) -> int:
    return 1 if most == 1 or rng.random() < single else rng.randint(2, most)


def _clothes(rng: Random, kind: str, action: str, weather: str | None, place: str) -> str:
    if place == "snow":
        return "jacket"
    upright = action in ("standing", "running", "walking", "waving", "balloon", "umbrella", "kite")
    if upright and kind in ("woman", "girl") and rng.random() < 0.6:
        return "dress"
    return "jacket" if weather in ("rainy", "foggy") and place != "ocean" and rng.random() < 0.5 else "shirt"


def _with_other(rng: Random, scene: Scene, place: Place, hidden: set[str]) -> Scene:
    main = scene.main
    if main.action == "flying":
        pairs = [(kind, "above") for kind in ABOVE.get(scene.place, ())]
    else:
        pairs = [(kind, relation) for kind, relations in place.others.items() for relation in relations]
    if place.people and main.kind in (*PEOPLE, "dog") and main.count <= 2 and scene.place not in ("ocean", "road"):
        pairs += [(person, relation) for person in PEOPLE for relation in SIDES if rng.random() < 0.25]
    pairs = [pair for pair in pairs if _fits(main, *pair, scene.place)]
    if not pairs:
        return scene
    kind, relation = rng.choices(pairs, [_weight(*pair) for pair in pairs])[0]
    unfit = {*hidden, main.colour, main.prop.colour if main.prop else None}
    colours = [colour for colour in KINDS[kind].colours if colour not in unfit]
    if KINDS[kind].colours and not colours:
        return scene
    if kind in PEOPLE:
        clothes = _clothes(rng, kind, "standing", scene.weather, scene.place)
        person = Group(kind, 1, rng.choice(colours), "standing", clothes)
        return replace(scene, other=person, relation=relation)
    most = min(KINDS[kind].most, 3 if kind in ("bird", "tree", "pine", "duck", "sheep", "fish", "balloon") else 2)
    alone = relation in ("under", "on") and kind not in _FLIERS
    crowded = relation in SIDES and (row_units(main) > 130 or row_units(Group(kind)) > 110)
    several = 1 if alone or crowded else _count(rng, most, single=0.72)
    action = _other_action(rng, kind, place, relation)
    other = Group(kind, several, rng.choice(colours) if colours else None, action)
    return replace(scene, other=other, relation=relation)


def _weight(kind: str, relation: str) -> int:
    """The most telling relations fit few pairs, so those pairs are chosen more often."""
    if kind in _FLIERS:
        return 1
    return {"on": 9, "under": 5, "front": 3}.get(relation, 1)


def _fits(main: Group, kind: str, relation: str, place: str) -> bool:
    if main.kind == kind and place != "underwater":
        return False
    if relation == "on":
        return main.count <= 2 and (
            main.action in LYING.get(main.kind, ()) or (main.kind in PEOPLE and main.action == "sitting")
        )
    if relation == "under" and kind not in _FLIERS:
        return (
            main.count <= 2
            and main.kind not in ("horse",)
            and main.action in ("standing", "sitting", "sleeping", "waving")
        )
    if place in ("road", "street") and main.kind in ("car", "bus", "truck"):
        return relation in ("front", "under")
    if kind == "ball" and main.prop:
        return False
    if main.action == "kite":
        return relation in SIDES and kind not in ("tree", "palm", "lighthouse")
    return True


def _other_action(rng: Random, kind: str, place: Place, relation: str) -> str:
    if relation == "under" and kind in _FLIERS:
        return "flying"
    calm = {
        "dog": ("sitting", "standing"),
        "horse": ("standing",),
        "sheep": ("standing", "eating"),
        "duck": ("swimming",),
        "fish": ("swimming",),
    }
    return rng.choice(calm.get(kind, ("standing",)))
