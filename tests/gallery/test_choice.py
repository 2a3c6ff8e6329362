"""What is chosen for the scenes of a gallery."""

import pytest

from gallery.choice import MOST, choose_scenes
from gallery.places import PLACES
from gallery.scene import KINDS, PEOPLE, Scene
from imagetext.wire.errors import InvalidParameter


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return choose_scenes(1, 300)


def test_the_same_seed_chooses_the_same_scenes(scenes: list[Scene]) -> None:
    """A seed and a number say everything: a second choice is equal to the first."""
    assert choose_scenes(1, 300) == scenes


def test_a_scene_does_not_depend_on_how_many_follow(scenes: list[Scene]) -> None:
    """The first twenty of three hundred scenes are the twenty scenes of a smaller gallery."""
    assert choose_scenes(1, 20) == scenes[:20]


def test_another_seed_chooses_other_scenes(scenes: list[Scene]) -> None:
    """Two seeds share hardly any scene."""
    mine = {scene.signature for scene in scenes}
    others = {scene.signature for scene in choose_scenes(2, 300)}

    assert len(mine & others) < 30


def test_no_two_scenes_share_a_signature(scenes: list[Scene]) -> None:
    """Place, weather and main subject together occur once in a gallery."""
    assert len({scene.signature for scene in scenes}) == len(scenes)


def test_every_place_and_most_kinds_come_up(scenes: list[Scene]) -> None:
    """Three hundred scenes visit every place, every weather and nearly every kind of subject."""
    seen = {scene.main.kind for scene in scenes} | {scene.other.kind for scene in scenes if scene.other}

    assert {scene.place for scene in scenes} == set(PLACES)
    assert {scene.weather for scene in scenes} == {"sunny", "rainy", "snowy", "night", "sunset", "foggy", None}
    assert len(seen) > len(KINDS) - 4


def test_no_colour_vanishes_in_its_place(scenes: list[Scene]) -> None:
    """A subject never has a colour that its place hides."""
    for scene in scenes:
        assert scene.main.colour not in PLACES[scene.place].hides


def test_only_people_wear_clothes(scenes: list[Scene]) -> None:
    """People always wear something and animals and things never do."""
    for scene in scenes:
        for group in filter(None, (scene.main, scene.other)):
            assert (group.clothes is not None) == (group.kind in PEOPLE)


@pytest.mark.parametrize("number", [0, MOST + 1])
def test_an_impossible_number_is_refused(number: int) -> None:
    """None or too many scenes is a clear error."""
    with pytest.raises(InvalidParameter, match=f"between 1 and {MOST}"):
        choose_scenes(1, number)


def test_the_largest_gallery_has_no_two_alike() -> None:
    """There are enough different scenes for the largest number that may be asked for."""
    assert len({scene.signature for scene in choose_scenes(1, MOST)}) == MOST
