"""Whether the sentences of a scene are true and well formed."""

import re

import pytest

from gallery.choice import choose_scenes
from gallery.scene import Group, Prop, Scene
from gallery.sentences import describe

_NUMBERS = {1: r"an?", 2: "two", 3: "three", 4: "four", 5: "five"}
_COUNTS = r"\b(two|three|four|five)\b"


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return choose_scenes(5, 400)


def test_there_are_five_different_sentences(scenes: list[Scene]) -> None:
    """Each scene has five captions, all different, each one sentence that ends with a full stop of its own."""
    for scene in scenes:
        captions = describe(scene)

        assert len(set(captions)) == 5
        assert all(re.fullmatch(r"[A-Z][a-z ]+ \.", caption) for caption in captions)


def test_the_same_scene_is_described_the_same_way(scenes: list[Scene]) -> None:
    """Sentences depend on the scene alone."""
    assert [describe(scene) for scene in scenes[:30]] == [describe(scene) for scene in scenes[:30]]


def test_the_first_sentence_is_unique_in_its_gallery(scenes: list[Scene]) -> None:
    """No two scenes are told with the same full sentence."""
    assert len({describe(scene)[0] for scene in scenes}) == len(scenes)


def test_the_first_sentence_begins_with_the_right_number(scenes: list[Scene]) -> None:
    """The count of the main subject is its first word."""
    for scene in scenes:
        assert re.match(_NUMBERS[scene.main.count] + " ", describe(scene)[0].lower())


def test_the_first_sentence_tells_all_colours(scenes: list[Scene]) -> None:
    """Colours of the main subject, of what it holds and of what is beside it are all named."""
    for scene in scenes:
        groups = [scene.main, *([scene.other] if scene.other else [])]
        colours = {group.colour for group in groups} | {group.prop.colour for group in groups if group.prop}

        assert all(colour in describe(scene)[0].split() for colour in colours if colour)


def test_no_sentence_counts_what_is_not_there(scenes: list[Scene]) -> None:
    """Every number word in every sentence is the count of the main or of the other group."""
    words = {word: count for count, word in _NUMBERS.items()}
    for scene in scenes:
        counts = {scene.main.count, scene.other.count if scene.other else 1}
        for caption in describe(scene):
            assert {words[word] for word in re.findall(_COUNTS, caption.lower())} <= counts


def test_no_sentence_names_a_colour_that_is_not_there(scenes: list[Scene]) -> None:
    """Every colour word belongs to a group of the scene, or to grass and water, which have theirs."""
    palette = {"red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "gray"}
    for scene in scenes:
        groups = [scene.main, *([scene.other] if scene.other else [])]
        true = {group.colour for group in groups} | {group.prop.colour for group in groups if group.prop}
        for caption in describe(scene):
            told = re.sub(r"green field|blue water", "", caption)
            assert set(told.split()) & palette <= true


def test_weather_is_told_only_as_it_is(scenes: list[Scene]) -> None:
    """Rain, night, fog and sunset are in the words only where they are in the picture."""
    words = {"rain": "rainy", "rainy": "rainy", "night": "night", "fog": "foggy", "foggy": "foggy", "sunset": "sunset"}
    for scene in scenes:
        for caption in describe(scene):
            assert {words[word] for word in caption.split() if word in words} <= {scene.weather}


def test_a_full_sentence_reads_like_a_caption() -> None:
    """A boy who rides a bike past two dogs at night is told in this order."""
    boy = Group("boy", 1, "red", "riding", "shirt", Prop("bike", "blue"))
    scene = Scene("key", "park", "night", boy, Group("dog", 2, "white"), "left")

    assert re.fullmatch(
        r"A boy in a red shirt (is riding|rides) a blue (bike|bicycle) (in|through) (the|a) park "
        r"to the left of two white dogs at night \.",
        describe(scene)[0],
    )


def test_irregular_plurals_are_right() -> None:
    """Women, sheep and buses are not womans, sheeps and buss."""
    women = Group("woman", 2, "green", "standing", "dress")
    first = describe(Scene("key", "field", "sunny", women, Group("sheep", 3, "white", "eating"), "next"))[0]

    assert first.startswith("Two women in green dresses ")
    assert "three white sheep" in first


def test_an_article_fits_its_noun() -> None:
    """It is "an orange cat" and "a red cat" whatever comes first."""
    first = describe(Scene("key", "room", None, Group("cat", 1, "orange", "sitting")))[0]

    assert first.startswith("An orange cat ")
