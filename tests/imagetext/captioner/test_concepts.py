"""What a captioner's classifier recognises: places of attention beside the grid, and words that may be copied."""

import pytest
import torch
from PIL import Image

from imagetext.models.backbone import Backbone
from imagetext.models.captioner.concepts import SHARPNESS, Concepts, of_grid
from imagetext.models.captioner.engine import Confidence, DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import SPECIAL, Vocabulary, with_articles
from imagetext.models.transform import PictureTransform

NAMES, SAYABLE, WORDS, CHANNELS = 4, 3, 20, 8
CAT = 10  # the token of the word for the second name
Decoders = AttentionDecoder | VitBert


@pytest.fixture
def concepts() -> Concepts:
    torch.manual_seed(0)
    found = Concepts(CHANNELS, NAMES, width=12, vocabulary=WORDS, sayable=SAYABLE).requires_grad_(False)
    found.vectors.normal_()
    found.words.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]))
    found.column[CAT - 1 : CAT + 2] = torch.arange(3)
    return found


def test_the_words_for_what_is_recognised_may_be_copied(concepts: Concepts) -> None:
    """Their probabilities add up to 1; words that stand for no name have none."""
    copied = concepts.copied(torch.tensor([[0.0, 30, 0, 0], [0, 0, 30, 0]]))

    assert torch.allclose(copied.sum(1), torch.ones(2), atol=1e-5)
    assert copied[0, CAT] > 0.99
    assert torch.allclose(copied[1, CAT : CAT + 2], torch.tensor([0.5, 0.5]), atol=1e-3)


def test_what_is_said_adds_up_to_one_and_nothing_is_copied_twice(concepts: Concepts) -> None:
    """Once the word is said, only the decoder may say it again."""
    concepts.gate.bias.fill_(10.0)
    copied = concepts.copied(torch.tensor([[0.0, 30, 0, 0]]))
    hidden, logits = torch.randn(1, 12), torch.zeros(1, WORDS)

    first = concepts.spoken(hidden, logits, copied).exp()
    second = concepts.spoken(hidden, logits, concepts.left(copied, torch.tensor([CAT]))).exp()

    assert first.sum() == pytest.approx(1, abs=1e-4) and first[0, CAT] > 0.98
    assert second.sum() == pytest.approx(1, abs=1e-4) and second[0, CAT] < 0.1


def test_attention_is_told_for_the_grid_alone() -> None:
    """The places of the names are left out, and the rest adds up to 1 again."""
    weights = torch.rand(3, 9 + len(SHARPNESS)).softmax(-1)

    found = of_grid(weights)

    assert found.shape == (3, 9)
    assert torch.allclose(found.sum(1), torch.ones(3), atol=1e-5)


def decoder_of(architecture: str) -> Decoders:
    torch.manual_seed(1)
    if architecture == "gru-attention":
        return AttentionDecoder(DecoderShape(WORDS, CHANNELS, 16, 4, NAMES, SAYABLE)).eval()
    shape = VitBertShape(WORDS, CHANNELS, 9, 12, 2, 1, 1, names=NAMES, sayable=SAYABLE)
    return VitBert(shape).eval()


@pytest.mark.parametrize("architecture", ["gru-attention", "vit-bert"])
@torch.inference_mode()
def test_teaching_scores_words_as_steps_do(architecture: str) -> None:
    """Of whole sentences at once and word by word, as long as no word that may be copied comes twice."""
    decoder = decoder_of(architecture)
    memory = decoder.remember(torch.randn(2, 9, CHANNELS))
    words = torch.tensor([[1, 5, 6], [1, 7, 8]])

    taught = decoder.teach(words, memory, torch.ones_like(words, dtype=torch.bool)).view(2, 3, -1)
    state, steps = decoder.begin(memory), []
    for place in range(3):
        logits, weights, state = decoder.step(words[:, place], memory, state)
        steps.append(logits)

    assert weights.shape == (2, 9)
    assert torch.allclose(torch.stack(steps, 1), taught, atol=1e-4)


@pytest.mark.parametrize("architecture", ["gru-attention", "vit-bert"])
@torch.inference_mode()
def test_sentences_can_be_taught_without_a_picture(architecture: str) -> None:
    """The memory of names alone is read like that of a picture."""
    decoder = decoder_of(architecture)
    memory = decoder.imagine(torch.randn(2, NAMES))
    words = torch.tensor([[1, 5], [1, 7]])

    assert decoder.teach(words, memory, words > 0).shape == (4, WORDS)


def test_a_captioner_says_how_sure_it_is() -> None:
    """By its curve, which rises with the score."""
    backbone = Backbone(torch.nn.Conv2d(3, CHANNELS, 32, 32), torch.nn.ReLU(), CHANNELS)
    vocabulary = Vocabulary([f"word{number}" for number in range(WORDS - len(SPECIAL))])
    curve = Confidence(scale=2.0, offset=1.0)
    captioner = CaptionModel(
        "tiny", "tiny", backbone, decoder_of("gru-attention"), vocabulary, PictureTransform(), 0.9, curve
    )
    blank = captioner.prepare(Image.new("RGB", (64, 64)))

    (first, second), *_ = captioner.caption([blank], DecodingOptions(num_captions=2))

    assert first.confidence == pytest.approx(curve.of(first.score))
    assert (first.confidence > second.confidence) == (first.score > second.score)  # type: ignore[operator]


def test_articles_fit_the_words_that_follow() -> None:
    """By the sound that a word begins with."""
    said = ["a", "insect", "beside", "an", "cat", "and", "a", "orange", "on", "a", "unicycle", "for", "an", "hour"]

    assert " ".join(with_articles(said)) == "an insect beside a cat and an orange on a unicycle for an hour"
