"""The rivals do the same work: the same modules give the same sentences."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bench.rivals.captions import GeneratedCaptions, PlainCaptioner
from bench.rivals.encoders import in_float32, require_the_same_network
from bench.rows.embedding import COMPACT
from imagetext.engines.network import example_pictures
from imagetext.models.backbone import Backbone
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import SPECIAL, Vocabulary
from imagetext.models.encoder.dual import load_dual_encoder
from imagetext.models.folder import ModelFolder
from imagetext.models.transform import PictureTransform

Picture = NDArray[np.uint8]
WORDS, CHANNELS, SIDE, BEAMS, LENGTH = 30, 8, 28, 3, 7


def tiny(decoder: AttentionDecoder | VitBert) -> CaptionModel:
    """A captioner whose picture network is one layer: 4 x 4 places."""
    for parameter in decoder.parameters():  # sharper opinions than those of new weights
        parameter.data.mul_(3)
    backbone = Backbone(nn.Conv2d(3, CHANNELS, 7, 7), nn.Identity(), CHANNELS)
    vocabulary = Vocabulary([f"word{number}" for number in range(WORDS - len(SPECIAL))])
    return CaptionModel("tiny", "tiny", backbone, decoder, vocabulary, PictureTransform(SIDE), 0.9)


@pytest.fixture
def pictures() -> list[Picture]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8) for _ in range(6)]


def with_words(decoder: AttentionDecoder | VitBert) -> AttentionDecoder | VitBert:
    """Each name, if it has names, is said with a word of its own."""
    if decoder.concepts is not None:
        names = len(decoder.concepts.words)
        decoder.concepts.words.copy_(torch.eye(names))
        decoder.concepts.column[-names:] = torch.arange(names)
        torch.nn.init.normal_(decoder.concepts.gate.weight)
    return decoder


@pytest.mark.parametrize("names", [0, 5])
def test_the_plain_loop_says_what_ours_says(pictures: list[Picture], names: int) -> None:
    """Beam by beam in lists, with our ranking."""
    torch.manual_seed(1)
    captioner = tiny(with_words(AttentionDecoder(DecoderShape(WORDS, CHANNELS, 16, 8, names, names))))
    plain = PlainCaptioner(captioner, BEAMS, LENGTH)
    options = DecodingOptions(num_beams=BEAMS, max_new_tokens=LENGTH)

    assert [plain(picture) for picture in pictures] == [one[0].text for one in captioner.caption(pictures, options)]


@pytest.mark.parametrize("names", [0, 5])
def test_generate_scores_no_better_sentence(pictures: list[Picture], names: int) -> None:
    """Its search ends by other rules, so that a few sentences may differ; most are the same. Next to nothing is copied:
    ours copies a word once, and `generate` does not know what was said."""
    torch.manual_seed(1)
    decoder = with_words(VitBert(VitBertShape(WORDS, CHANNELS, 16, 24, 2, 1, 2, names=names, sayable=names)))
    if decoder.concepts is not None:
        torch.nn.init.zeros_(decoder.concepts.gate.weight)
        torch.nn.init.constant_(decoder.concepts.gate.bias, -20.0)
    captioner = tiny(decoder)
    generated = GeneratedCaptions(captioner, BEAMS, LENGTH)
    options = DecodingOptions(num_beams=BEAMS, max_new_tokens=LENGTH)
    ours = [one[0].text for one in captioner.caption(pictures, options)]

    equal = sum(generated(picture) == mine for picture, mine in zip(pictures, ours, strict=True))

    assert equal >= len(pictures) / 2


def test_exactly_so_many_words(pictures: list[Picture]) -> None:
    """For the row of fixed length: no sentence ends before its last token."""
    torch.manual_seed(1)
    captioner = tiny(VitBert(VitBertShape(WORDS, CHANNELS, 16, 24, 2, 1, 2)))
    generated = GeneratedCaptions(captioner, BEAMS, LENGTH, exactly=True)

    assert all(len(generated.tokens(picture)) == LENGTH for picture in pictures)


def test_the_network_in_float32_is_the_one_in_integers() -> None:
    """But for rounding; and with its norms laid into the weights it gives the same numbers."""
    model = load_dual_encoder(ModelFolder.open(COMPACT))
    inputs = list(example_pictures(model.transform.size)[:3])
    plain, folded = (in_float32(model, norms=norms).encode_pictures(inputs) for norms in (True, False))

    require_the_same_network(plain, model.encode_pictures(inputs))
    assert np.allclose(plain, folded, atol=1e-4)
    with pytest.raises(ValueError, match="another network"):
        require_the_same_network(plain, plain[:, ::-1])
