"""Whether figures stand where the sentences say and inside the picture."""

from itertools import pairwise
from random import Random

import pytest

from gallery.choice import choose_scenes
from gallery.layout import Spot, arrange, span
from gallery.scene import Group, Scene


@pytest.fixture(scope="module")
def arranged() -> list[tuple[Scene, list[Spot], list[Spot]]]:
    return [(scene, *arrange(scene, Random(scene.key))) for scene in choose_scenes(3, 600)]


Arranged = list[tuple[Scene, list[Spot], list[Spot]]]


def _of(arranged: Arranged, relation: str) -> Arranged:
    found = [entry for entry in arranged if entry[0].relation == relation]
    assert found
    return found


def test_each_of_a_group_has_a_spot(arranged: Arranged) -> None:
    """There are as many spots as the counts say."""
    for scene, main, other in arranged:
        assert len(main) == scene.main.count
        assert len(other) == (scene.other.count if scene.other else 0)


def test_left_is_left_and_right_is_right(arranged: Arranged) -> None:
    """All of the main group are on the side that the relation names."""
    for _, main, other in _of(arranged, "left"):
        assert max(spot.x for spot in main) < min(spot.x for spot in other)
    for _, main, other in _of(arranged, "right"):
        assert min(spot.x for spot in main) > max(spot.x for spot in other)


def test_in_front_is_lower_in_the_picture(arranged: Arranged) -> None:
    """What is in front stands nearer, that is lower."""
    for _, main, other in _of(arranged, "front"):
        assert min(spot.y for spot in main) > max(spot.y for spot in other)


def test_above_is_higher_in_the_picture(arranged: Arranged) -> None:
    """What flies above something has its base line higher than that one's."""
    for _, main, other in _of(arranged, "above"):
        assert max(spot.y for spot in main) < min(spot.y for spot in other)


def test_nobody_is_cut_off_at_the_sides(arranged: Arranged) -> None:
    """Every figure is inside the picture, give or take a few pixels; only a tree to sit under may reach out."""
    for scene, main, other in arranged:
        placed = [(scene.main, spot) for spot in main]
        if scene.other and scene.relation != "under":
            placed += [(scene.other, spot) for spot in other]
        for group, spot in placed:
            half = span(group) * spot.scale / 2
            assert spot.x - half > -scene.size[0] * 0.05, scene
            assert spot.x + half < scene.size[0] * 1.05, scene


def test_figures_of_a_group_stand_apart() -> None:
    """Five dogs can be counted: none covers another by more than two fifths."""
    scene = Scene("key", "field", "sunny", Group("dog", 5, "brown"))
    main, _ = arrange(scene, Random(1))
    xs = sorted(spot.x for spot in main)

    assert all(b - a > span(scene.main) * main[0].scale * 0.55 for a, b in pairwise(xs))
