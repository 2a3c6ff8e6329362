"""Every engine gives what torch gives, also for batches and lengths that it was not exported with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from imagetext.backbone import Backbone
from imagetext.captioner.engine import Captioner, DecodingOptions
from imagetext.captioner.network import AttentionDecoder, DecoderShape
from imagetext.captioner.vit_bert import VitBert, VitBertShape
from imagetext.captioner.vocabulary import SPECIAL, Vocabulary
from imagetext.encoder.engine import load_encoder
from imagetext.engines import Engines
from imagetext.transform import PictureTransform
from tests.imagetext.encoder.tiny_clip import save_tiny_clip

ENGINES = ["openvino-f32", "onnxruntime"]
WORDS = 40
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(5)]


def tiny_captioner(architecture: str) -> Captioner:
    torch.manual_seed(4)
    backbone = Backbone(nn.Conv2d(3, 16, 32, 32), nn.ReLU(), 16)  # a grid of 7 x 7
    decoder: AttentionDecoder | VitBert
    if architecture == "gru-attention":
        decoder = AttentionDecoder(DecoderShape(WORDS, backbone.channels, 32, 16))
    else:
        decoder = VitBert(VitBertShape(WORDS, backbone.channels, 49, 48, 4, 1, 2))
        for parameter in decoder.parameters():  # sharper opinions than those of new weights
            parameter.data.mul_(3)
    vocabulary = Vocabulary([f"word{number}" for number in range(WORDS - len(SPECIAL))])
    return Captioner("tiny", f"tiny-{architecture}", backbone, decoder, vocabulary, PictureTransform(), 0.9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("architecture", ["gru-attention", "vit-bert"])
def test_captions_are_the_same_words(architecture: str, engine: str, pictures: list[Image.Image]) -> None:
    """Several pictures, several beams, sentences of any length: the same words, scores and attention as in torch."""
    captioner = tiny_captioner(architecture)
    inputs = [captioner.prepare(picture) for picture in pictures]
    options = DecodingOptions(num_captions=3, num_beams=4, max_new_tokens=9, attention=True)
    expected = captioner.caption(inputs, options)

    captioner.run_in(Engines(only=engine))
    found = captioner.caption(inputs, options)

    for mine, theirs in zip(found, expected, strict=True):
        assert [one.text for one in mine] == [one.text for one in theirs]
        assert [one.score for one in mine] == pytest.approx([one.score for one in theirs], abs=1e-3)
        assert np.allclose(
            [word.attention for word in mine[0].words], [word.attention for word in theirs[0].words], atol=1e-3
        )


@pytest.mark.parametrize("engine", ENGINES)
def test_clip_points_the_same_way(engine: str, pictures: list[Image.Image], tmp_path: Path) -> None:
    """Pictures and texts, alone and together, long and short: a cosine of 0.999 at least."""
    save_tiny_clip(tmp_path, layers=2)
    _same_directions(tmp_path, engine, pictures)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shipped_encoder_points_the_same_way(engine: str, pictures: list[Image.Image]) -> None:
    """The same for the model that is served by default."""
    _same_directions(ROOT / "models" / "retrieval", engine, pictures)


def _same_directions(folder: Path, engine: str, pictures: list[Image.Image]) -> None:
    reference, encoder = load_encoder(folder), load_encoder(folder, Engines(only=engine))
    inputs = [encoder.prepare(picture) for picture in pictures]
    texts = ["a dog", "two dogs and a cat play with a ball in the snow", "b"]
    for number in (1, 5):
        assert _cosines(encoder.encode_pictures(inputs[:number]), reference.encode_pictures(inputs[:number])) > 0.999
    for number in (1, 3):
        assert _cosines(encoder.encode_texts(texts[:number]), reference.encode_texts(texts[:number])) > 0.999


def _cosines(found: np.ndarray, expected: np.ndarray) -> float:
    """The lowest, of unit rows."""
    assert found.shape == expected.shape
    return float((found * expected).sum(1).min())
