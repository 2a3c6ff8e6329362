"""What captioners learn beyond captioned photographs, and how their captions are judged there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from imagetext.models.captioner.engine import Confidence, DecodedCaption
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import END, PAD, UNKNOWN, Vocabulary
from imagetext.wire.errors import InvalidParameter
from training.confidence import Judged, agrees, fit, report, write
from training.open_caption_data import Consensus, Part, Pictures, Sentences, encoded, found_captions, tidied
from training.open_captions import blended, extended
from training.open_world import Naming, read_kinds

NAMES = ["tench", "tabby", "teapot", "Border collie"]
KINDS = "# a comment\ndog; dog puppy; 3\ncat; cat kitten; 1\npot; pot kettle; 2\n"


@pytest.fixture
def naming(tmp_path: Path) -> Naming:
    (tmp_path / "kinds.txt").write_text(KINDS)
    return Naming(NAMES, read_kinds(tmp_path / "kinds.txt"))


def test_a_caption_names_a_thing_or_its_kind(naming: Naming) -> None:
    """In the singular or the plural; a class without a kind by its own name."""
    assert naming.named("two kittens on a bed", 1)
    assert naming.named("a tabby", 1)
    assert naming.named("a tench in the grass", 0)
    assert not naming.named("a dog on a bed", 1)


def test_people_and_dogs_that_are_not_there_are_mistakes(naming: Naming) -> None:
    """A dog is none where the class is one."""
    assert naming.mistaken("a man with a teapot", 2)
    assert naming.mistaken("a dog beside a teapot", 2)
    assert not naming.mistaken("a dog runs", 3)
    assert not naming.mistaken("a teapot on a table", 2)


def test_a_damaged_table_of_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kinds.txt").write_text("dog; dog\n")
    with pytest.raises(InvalidParameter, match=r"kinds\.txt: 'dog; dog'"):
        read_kinds(tmp_path / "kinds.txt")


def test_most_classes_have_a_kind() -> None:
    """Nine in ten of ImageNet's thousand; and all numbers are classes."""
    covered = set[int]().union(*(kind.classes for kind in read_kinds()))

    assert covered <= set(range(1000)) and len(covered) > 900


def sentences(*texts: str) -> Sentences:
    return Sentences(list(texts), F.normalize(torch.ones(len(texts), 4), dim=1))


def test_the_sentence_that_agrees_with_most_others_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only one of the near sentences says is likely not in the picture."""
    monkeypatch.setattr("training.open_caption_data.NEAREST", 4)
    near = sentences(
        "a clock tower in the rain",
        "two cats sleep on a couch",
        "two cats sleep on a red couch",
        "two cats on a couch",
    )

    (found,) = Consensus(near)(F.normalize(torch.ones(1, 4), dim=1))

    assert found[0] == "two cats sleep on a couch"
    assert found[-1] == "a clock tower in the rain"


def test_captions_that_were_found_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run reads the file of the first."""
    monkeypatch.setattr("training.open_caption_data.NEAREST", 2)
    near, pictures = sentences("a cat", "a dog"), F.normalize(torch.ones(3, 4), dim=1)
    first = found_captions(pictures, near, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps([["kept"]] * 3))

    assert len(first) == 3
    assert found_captions(pictures, near, tmp_path) == [("kept",)] * 3


def test_sentences_about_pictures_teach_no_captions() -> None:
    """ "A photo of a cat" says of the picture what a caption need not say."""
    some = sentences("a photo of a cat", "a close up of a clock", "a cat takes a stroll", "a dog stock photo")

    assert some.plain().texts == ["a cat takes a stroll"]
    assert tidied([" a cat . "]) == ["a cat."]


def test_a_vocabulary_keeps_the_places_of_its_words() -> None:
    """More words come after those that it had: what was learned for these is still theirs."""
    found = extended(Vocabulary(["a", "dog"]), ["a cat", "a cat", "a dog", "an owl"], min_count=2)

    assert found.words == ("a", "dog", "cat")
    assert encoded(["a cat hoots"], found)[0, :5].tolist() == [4, 6, UNKNOWN, END, PAD]


def test_each_picture_has_its_turn() -> None:
    """All are drawn before one is drawn again; a mirrored view is no view of "left"."""
    torch.manual_seed(0)
    grids = np.zeros((4, 2, 1, 1), dtype=np.float16)
    grids[:, 1] = 1  # mirrored
    part = Part(
        Pictures(grids, [["a dog on the left", "a dog"]] * 2 + [["a dog", "a cat"]] * 2),
        Vocabulary(["a", "dog", "on", "the", "left", "cat"]),
        each=2,
        weight=1.0,
    )
    left = part.tokens[0, 0]

    drawn = [part.draw(captions=2) for _ in range(40)]

    sided = [(tokens == left).all(-1).any(1) for _, tokens in drawn]
    assert sum(int(rows.sum()) for rows in sided) == 40  # two of four pictures in every two steps
    assert all(float(grid[rows].sum()) == 0 for (grid, _), rows in zip(drawn, sided, strict=True))
    assert any(float(grid.sum()) > 0 for grid, _ in drawn)


def test_a_caption_agrees_when_most_of_its_words_are_in_the_references() -> None:
    """Words that mean nothing do not count."""
    references = ["a brown dog runs through the grass", "a dog is running outside"]

    assert agrees("a brown dog is running in the water", references)
    assert not agrees("a cat on the grass", references)
    assert not agrees("is on the", references)


def judged(count: int, right_above: float) -> Judged:
    scores = np.linspace(-2, 0, count)
    return Judged([DecodedCaption("", float(score), ()) for score in scores], scores > right_above)


def test_confidence_rises_where_captions_become_right() -> None:
    """Each domain counts alike, however many pictures it has."""
    domains = {"many": judged(1000, -1.0), "few": judged(100, -0.5)}

    curve = fit(domains)

    assert curve.of(-1.8) < 0.1 and curve.of(-0.1) > 0.9
    assert -1.0 < -curve.offset / curve.scale < -0.5
    many, few = report(domains, curve)
    assert "right 0.50" in many and "1.00 of these right" in many
    assert "right 0.2" in few


def test_the_curve_is_written_into_the_model(tmp_path: Path) -> None:
    """The rest of its config stays."""
    (tmp_path / "config.json").write_text('{"name": "tiny"}')

    write(tmp_path, Confidence(2.0, 1.5))

    assert json.loads((tmp_path / "config.json").read_text()) == {
        "name": "tiny",
        "confidence": {"scale": 2.0, "offset": 1.5},
    }
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_a_blend_is_on_the_line_between_two_decoders() -> None:
    """Also where one tensor has two names; what only the second has stays as it is."""
    before = VitBert(VitBertShape(10, 8, 9, 12, 2, 1, 1))
    after = VitBert(VitBertShape(12, 8, 9, 12, 2, 1, 1, names=4, sayable=3))
    rows = "decoder.bert.bert.embeddings.word_embeddings.weight"

    found, first, last = (each.state_dict() for each in (blended(before, after, 0.2), before, after))

    assert torch.allclose(found[rows][:10], 0.2 * first[rows] + 0.8 * last[rows][:10], atol=1e-6)
    assert torch.equal(found[rows][10:], last[rows][10:])
    assert torch.equal(found["concepts.classifier.weight"], last["concepts.classifier.weight"])
