"""Whether all that can be drawn is drawn."""

import io
from random import Random

import pytest
from PIL import Image

from gallery.choice import choose_scene
from gallery.drawing.figures import figure
from gallery.drawing.scenery import SCENERY
from gallery.drawing.svg import document, put, rect
from gallery.drawing.view import LIGHTS
from gallery.places import PLACES
from gallery.scene import KINDS, PEOPLE, PROPS, Group, Prop, Scene
from gallery.writer import compose, render_jpeg


def _picture(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(render_jpeg(svg))).convert("RGB")


def _changed_share(picture: Image.Image, background: tuple[int, int, int]) -> float:
    pixels = picture.tobytes()
    changed = sum(
        max(abs(pixels[start + band] - background[band]) for band in range(3)) > 24
        for start in range(0, len(pixels), 3)
    )
    return changed / (len(pixels) // 3)


def _groups() -> list[Group]:
    """One group for each kind and each of its actions, in its first colour."""
    groups = []
    for kind, facts in KINDS.items():
        colour = facts.colours[0] if facts.colours else None
        actions = sorted({action for place in PLACES.values() if kind in place.kinds for action in place.actions(kind)})
        for action in actions or ["standing"]:
            prop = Prop(PROPS[action][0], "green") if kind in PEOPLE and action in PROPS else None
            groups.append(Group(kind, 1, colour, action, "shirt" if kind in PEOPLE else None, prop))
    return groups


@pytest.mark.parametrize("group", _groups(), ids=lambda group: f"{group.kind}-{group.action}")
def test_every_kind_is_drawn_in_every_action(group: Group) -> None:
    """A figure on an empty page leaves a clear mark."""
    art = figure(group, Random(1), LIGHTS["sunny"], "field")
    picture = _picture(document(rect(0, 0, 240, 240, "#00ffff") + put(art, 120, 200), 240, 240))

    assert 0.005 < _changed_share(picture, (0, 255, 255)) < 0.9


@pytest.mark.parametrize("kind", [kind for kind, facts in KINDS.items() if facts.colours])
def test_every_colour_of_a_kind_can_be_drawn(kind: str) -> None:
    """No kind lists a colour that its drawing does not know, and colours differ."""
    clothes = "shirt" if kind in PEOPLE else None
    drawn = {
        figure(Group(kind, 1, colour, "standing", clothes), Random(1), LIGHTS["sunny"], "field")
        for colour in KINDS[kind].colours
    }

    assert len(drawn) == len(KINDS[kind].colours)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_place_is_drawn_in_every_weather(place: str) -> None:
    """A place has many colours under every light, and each light looks different."""
    pictures = set()
    for weather in sorted(set(PLACES[place].weathers)):
        picture = _picture(compose(Scene("key", place, weather or None, Group("bird", 1, "red", "flying"))))
        colours = picture.resize((48, 36)).getcolors(48 * 36)

        assert colours is not None
        assert len(colours) > 60
        pictures.add(picture.tobytes())

    assert len(pictures) == len(set(PLACES[place].weathers))


def test_every_place_of_the_catalogue_has_scenery() -> None:
    """The data and the drawings name the same places."""
    assert set(SCENERY) == set(PLACES)


def test_a_scene_is_always_the_same_picture() -> None:
    """The SVG text and the JPEG bytes of a scene repeat exactly."""
    first, second = (compose(choose_scene("1/1/0")) for _ in range(2))

    assert first == second
    assert render_jpeg(first) == render_jpeg(second)


def test_a_portrait_is_higher_than_wide() -> None:
    """The size of the picture follows the scene."""
    picture = _picture(compose(Scene("key", "park", "sunny", Group("dog", 1, "brown"), portrait=True)))

    assert picture.size == (360, 480)


def test_clothes_have_their_colour() -> None:
    """A man in a red shirt is drawn with much more red than a man in a blue one."""
    shares = {}
    for colour in ("red", "blue"):
        art = figure(Group("man", 1, colour, "standing", "shirt"), Random(1), LIGHTS["sunny"], "field")
        picture = _picture(document(rect(0, 0, 120, 120, "#ffffff") + put(art, 60, 115), 120, 120))
        pixels = picture.tobytes()
        triples = zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
        shares[colour] = sum(red > 190 and green < 110 and blue < 110 for red, green, blue in triples)

    assert shares["red"] > 200
    assert shares["blue"] < 20
