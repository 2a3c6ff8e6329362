"""How much of each data set a pass takes, and what a batch holds."""

from pathlib import Path

import pytest
import torch

from imagetext.wire.errors import InvalidParameter
from tests.training.clip.conftest import draw_colours
from training.clip.mix import CaptionedSet, Source, draw_captions, draw_pass
from training.dataset import CaptionedPicture


@pytest.mark.parametrize(
    ("text", "folder", "weight"),
    [("a/b", "a/b", 1.0), ("a/b:0.25", "a/b", 0.25), ("c:d", "c:d", 1.0), ("c:d:2", "c:d", 2.0)],
)
def test_a_source_is_a_folder_and_a_weight(text: str, folder: str, weight: float) -> None:
    """A colon that is followed by no number belongs to the name."""
    assert Source.parse(text) == Source(Path(folder), weight)


@pytest.mark.parametrize("text", ["a:0", "a:-1", "a:nan", "a:inf"])
def test_impossible_weights_are_refused(text: str) -> None:
    """A weight is a number above 0."""
    with pytest.raises(InvalidParameter, match="must be positive"):
        Source.parse(text)


def test_a_pass_takes_each_set_by_its_weight(tmp_path: Path) -> None:
    """Half of one set and two and a half times the other, each batch from one set and no picture in it twice."""
    half = CaptionedSet.read(Source(draw_colours(tmp_path / "half"), 0.5))
    often = CaptionedSet.read(Source(draw_colours(tmp_path / "often"), 2.5))

    batches = draw_pass([half, often], 8, 2, 0.8, mirror=True)

    taken = {id(part): sum(len(b.rows) for b in batches if b.part is part) for part in (half, often)}
    assert taken == {id(half): 12, id(often): 60}
    assert all(len(set(b.rows.tolist())) == len(b.rows) > 1 for b in batches)
    assert all(len(set(texts)) == 2 for b in batches for texts in b.texts())
    assert all((b.boxes >= 0).all() and (b.boxes <= 1 + 1e-6).all() for b in batches)


def test_a_picture_of_whose_captions_one_says_left_is_not_mirrored() -> None:
    """Left is left."""
    sided = CaptionedPicture(Path("a.png"), ("a dog on the left", "a dog"))
    plain = CaptionedPicture(Path("b.png"), ("a dog", "a cat"))
    part = CaptionedSet([sided, plain] * 50, torch.full((100,), 2), 1.0)

    (batch,) = draw_pass([part], 100, 2, 1.0, mirror=True)

    even = batch.rows % 2 == 0
    assert not batch.mirrored[even].any()
    assert batch.mirrored[~even].any()
    assert not draw_pass([part], 100, 2, 1.0, mirror=False)[0].mirrored.any()


def test_captions_differ_where_a_picture_has_as_many() -> None:
    """Of one caption both draws are it; of three, two different ones, and in time each."""
    drawn = draw_captions(torch.tensor([1, 3] * 100), 2)

    assert (drawn[::2] == 0).all()
    assert (drawn[1::2, 0] != drawn[1::2, 1]).all()
    assert set(drawn[1::2].flatten().tolist()) == {0, 1, 2}
