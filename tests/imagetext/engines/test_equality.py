"""Every engine gives what torch gives, also for batches and lengths that it was not exported with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from imagetext.engines import Engines, Loaded, Network
from imagetext.engines.export import export
from imagetext.models.backbone import Backbone
from imagetext.models.captioner.engine import Captioner, DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import SPECIAL, Vocabulary
from imagetext.models.encoder.engine import load_encoder
from imagetext.models.transform import PictureTransform
from tests.imagetext.encoder.tiny_clip import save_tiny_clip

ENGINES = ["openvino-f32", "onnxruntime"]
WORDS = 40
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(5)]


def tiny_captioner(architecture: str) -> CaptionModel:
    """One that knows names ends in "+names"."""
    architecture, _, names = architecture.partition("+")
    sizes = {"names": 6, "sayable": 5} if names else {}
    torch.manual_seed(4)
    backbone = Backbone(nn.Conv2d(3, 16, 32, 32), nn.ReLU(), 16)  # a grid of 7 x 7
    decoder: AttentionDecoder | VitBert
    if architecture == "gru-attention":
        decoder = AttentionDecoder(DecoderShape(WORDS, backbone.channels, 32, 16, **sizes))
    else:
        decoder = VitBert(VitBertShape(WORDS, backbone.channels, 49, 48, 4, 1, 2, **sizes))
        for parameter in decoder.parameters():  # sharper opinions than those of new weights
            parameter.data.mul_(3)
    if decoder.concepts is not None:
        decoder.concepts.vectors.normal_()
        decoder.concepts.words.copy_(torch.rand(6, 5).softmax(-1))
        decoder.concepts.column[10:15] = torch.arange(5)
        torch.nn.init.constant_(decoder.concepts.gate.bias, 0.0)
    vocabulary = Vocabulary([f"word{number}" for number in range(WORDS - len(SPECIAL))])
    return CaptionModel("tiny", f"tiny-{architecture}{names}", backbone, decoder, vocabulary, PictureTransform(), 0.9)


@pytest.fixture(scope="module", params=["gru-attention", "vit-bert", "gru-attention+names", "vit-bert+names"])
def captioner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[CaptionModel, Path]:
    """In torch, and where its networks are exported."""
    model, folder = tiny_captioner(request.param), tmp_path_factory.mktemp("captioner")
    for program in model.programs():
        export(program, folder)
    return model, folder


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.mark.parametrize("engine", ENGINES)
def test_captions_are_the_same_words(
    captioner: tuple[CaptionModel, Path], engine: str, pictures: list[Image.Image]
) -> None:
    """Several pictures, several beams, sentences of any length: the same words, scores and attention as in torch."""
    model, folder = captioner
    inputs = [model.prepare(picture) for picture in pictures]
    options = DecodingOptions(num_captions=3, num_beams=4, max_new_tokens=9, attention=True)

    def load(name: str) -> Loaded:
        loaded = Engines(only=engine).load(Network.open(folder, name))
        assert loaded is not None
        return loaded

    found = Captioner(model.facts, model.vocabulary, load).caption(inputs, options)

    for mine, theirs in zip(found, model.caption(inputs, options), strict=True):
        assert [one.text for one in mine] == [one.text for one in theirs]
        assert [one.score for one in mine] == pytest.approx([one.score for one in theirs], abs=1e-3)
        assert np.allclose(
            [word.attention for word in mine[0].words], [word.attention for word in theirs[0].words], atol=1e-3
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    save_tiny_clip(folder, layers=2)
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_clip_points_the_same_way(engine: str, pictures: list[Image.Image], clip: Path, exports: Path) -> None:
    """Pictures and texts, alone and together, long and short: a cosine of 0.999 at least."""
    _same_directions(clip, Engines(exports, only=engine), pictures)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["retrieval", "clip-scratch"])
def test_the_shipped_encoders_point_the_same_way(
    model: str, engine: str, pictures: list[Image.Image], exports: Path
) -> None:
    """The same for the models that come with the project."""
    _same_directions(ROOT / "models" / model, Engines(exports, only=engine), pictures)


def _same_directions(folder: Path, engines: Engines, pictures: list[Image.Image]) -> None:
    reference, encoder = load_encoder(folder), load_encoder(folder, engines)
    inputs = [encoder.prepare(picture) for picture in pictures]
    texts = ["a dog", "two dogs and a cat play with a ball in the snow", "b"]
    for number in (1, 5):
        assert _cosines(encoder.encode_pictures(inputs[:number]), reference.encode_pictures(inputs[:number])) > 0.999
    for number in (1, 3):
        assert _cosines(encoder.encode_texts(texts[:number]), reference.encode_texts(texts[:number])) > 0.999
    assert {loaded.engine for loaded in encoder.engines.values()} == {engines.only}


def _cosines(found: np.ndarray, expected: np.ndarray) -> float:
    """The lowest, of unit rows."""
    assert found.shape == expected.shape
    return float((found * expected).sum(1).min())
