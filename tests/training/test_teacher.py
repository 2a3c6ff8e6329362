"""What a teacher says of captions, and how a student is measured against it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imagetext.models.backbone import EFFICIENTNET_LITE0, load_backbone
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import InvalidParameter
from training.captions import CaptionSet, caption_set, shifted
from training.dataset import CaptionedPicture
from training.features import Features
from training.teachers import ask_teachers, load_teacher

CAPTIONER = Path(__file__).parents[2] / "models" / "caption-gru"
VOCABULARY = Vocabulary(["a", "dog", "cat", "runs", "sits", "here"])  # with the special ones fewer than are kept


@pytest.fixture
def part(tmp_path: Path) -> CaptionSet:
    maps = np.random.default_rng(0).normal(size=(3, 2, 7, 7, 192)).astype(np.float16)
    features = Features(maps, (False, True), tmp_path / "features.npy")
    captions = ("a dog runs", "a cat sits here", "dog")
    pictures = [CaptionedPicture(tmp_path / f"{row}.jpg", captions) for row in range(3)]
    return caption_set(pictures, features, VOCABULARY, max_words=6)


@pytest.fixture
def teacher() -> CaptionModel:
    return made_teacher(0)


def made_teacher(seed: int) -> CaptionModel:
    torch.manual_seed(seed)
    backbone = load_backbone(EFFICIENTNET_LITE0)
    decoder = AttentionDecoder(DecoderShape(len(VOCABULARY), backbone.channels, 16, 8))
    return CaptionModel("teacher", f"teacher {seed}", backbone, decoder, VOCABULARY, PictureTransform(), 0.9)


@torch.no_grad()
def answer(teacher: CaptionModel, part: CaptionSet, rows: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's own logits for whole pictures, and which steps count."""
    inputs, _, counted = shifted(part.tokens[rows[:, None], captions].flatten(0, 1))
    memory = teacher.decoder.remember(teacher.backbone.grid(part.whole(rows)))
    return teacher.decoder.teach(inputs, memory, counted), counted


def test_the_loss_is_the_cross_entropy_with_the_teacher(
    teacher: CaptionModel, part: CaptionSet, tmp_path: Path
) -> None:
    """For any pictures and captions in any order it is that of the teacher's probabilities, lowest for the teacher."""
    opinions = ask_teachers([teacher], part, tmp_path)
    rows, captions = torch.tensor([2, 0]), torch.tensor([[1, 0], [2, 1]])
    taught, counted = answer(teacher, part, rows, captions)
    student = torch.randn_like(taught)

    loss = opinions.loss(student, rows, captions, counted)

    expected = torch.nn.functional.cross_entropy(student, taught.softmax(-1))
    assert float(loss) == pytest.approx(float(expected), abs=2e-3)
    assert float(opinions.loss(taught, rows, captions, counted)) < float(loss)


def test_a_teacher_is_asked_once(teacher: CaptionModel, part: CaptionSet, tmp_path: Path) -> None:
    """The second time its opinions come from the cache; for other captions it is asked again."""
    first = ask_teachers([teacher], part, tmp_path)
    (kept,) = tmp_path.glob("opinions-*.safetensors")
    written = kept.stat().st_mtime_ns

    again = ask_teachers([teacher], part, tmp_path)

    assert torch.equal(first.words, again.words)
    assert torch.equal(first.probabilities, again.probabilities)
    assert kept.stat().st_mtime_ns == written
    ask_teachers([teacher], replace(part, tokens=part.tokens.flip(1)), tmp_path)
    assert len(list(tmp_path.glob("opinions-*.safetensors"))) == 2


def test_several_teachers_are_heard_alike(teacher: CaptionModel, part: CaptionSet, tmp_path: Path) -> None:
    """What is learned is the mean of their probabilities."""
    other = made_teacher(1)
    opinions = ask_teachers([teacher, other], part, tmp_path)
    rows, captions = torch.tensor([1]), torch.tensor([[0, 1]])
    (mine, counted), (theirs, _) = (answer(one, part, rows, captions) for one in (teacher, other))
    student = torch.randn_like(mine)

    loss = opinions.loss(student, rows, captions, counted)

    mean = (mine.softmax(-1) + theirs.softmax(-1)) / 2
    assert float(loss) == pytest.approx(float(torch.nn.functional.cross_entropy(student, mean)), abs=2e-3)


def test_a_teacher_with_other_words_is_refused() -> None:
    """Its probabilities would be of other words than the student's."""
    with pytest.raises(InvalidParameter, match="other words"):
        load_teacher(CAPTIONER, VOCABULARY)
