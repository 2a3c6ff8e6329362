"""Picture networks under the models: the packaged one and the original's two, by folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MobileNetV2Config, MobileNetV2Model, ResNetConfig, ResNetModel

from imagetext.models.backbone import EFFICIENTNET_LITE0, backbone_transform, load_backbone
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import ModelError


def save_mobilenet(folder: Path) -> None:
    MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35)).save_pretrained(folder)


def save_resnet(folder: Path) -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    ResNetModel(config).save_pretrained(folder)


def test_default_backbone_gives_a_grid_of_49_places() -> None:
    """EfficientNet-Lite0 turns 224 pixels into 7 x 7 places of 1280 channels."""
    backbone = load_backbone(EFFICIENTNET_LITE0)

    with torch.inference_mode():
        grid = backbone(torch.zeros(2, 3, 224, 224))

    assert backbone.channels == 1280
    assert grid.shape == (2, 49, 1280)


@pytest.mark.parametrize("save", [save_mobilenet, save_resnet])
def test_the_originals_encoders_plug_into_the_captioner(tmp_path: Path, save: object) -> None:
    """A MobileNetV2 or ResNet folder of transformers stands where EfficientNet-Lite0 does, attention grid and all."""
    save(tmp_path)  # type: ignore[operator]
    torch.manual_seed(0)
    backbone = load_backbone(tmp_path)
    vocabulary = Vocabulary(["a", "dog", "runs"])
    decoder = AttentionDecoder(DecoderShape(len(vocabulary), backbone.channels, width=16, attention_width=8))
    captioner = CaptionModel("tiny", "", backbone, decoder, vocabulary, PictureTransform(size=96), 0.7)
    inputs = [torch.randint(0, 255, (3, 96, 96), dtype=torch.uint8).numpy() for _ in range(2)]

    captions = captioner.caption(inputs, DecodingOptions(num_captions=2, max_new_tokens=5, attention=True))

    assert [len(found) for found in captions] == [2, 2]
    word = captions[0][0].words[0]
    assert word.text in vocabulary.words
    assert word.attention is not None
    assert len(word.attention) == len(word.attention[0]) == 3
    assert sum(map(sum, word.attention)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("processor", "transform"),
    [
        (
            {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True}
            | {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
            PictureTransform(224, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ),
        (
            {"size": 160, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
            PictureTransform(160, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ),
        (
            {"size": {"height": 96, "width": 96}, "do_normalize": False},
            PictureTransform(96, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        ),
    ],
    ids=["as MobileNetV2", "as ResNet50", "not normalised"],
)
def test_pictures_are_scaled_as_the_network_was_trained(
    tmp_path: Path, processor: dict[str, object], transform: PictureTransform
) -> None:
    """The preprocessor's size, mean and deviation are taken over from the network's folder."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))

    assert backbone_transform(tmp_path) == transform


def test_a_network_without_its_preprocessing_is_refused(tmp_path: Path) -> None:
    """Training must not guess how pictures are scaled."""
    with pytest.raises(ModelError, match="preprocessor_config"):
        backbone_transform(tmp_path)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    """Where nothing can be loaded the error says so."""
    with pytest.raises(ModelError, match="No picture network"):
        load_backbone(tmp_path)


def test_a_network_whose_weights_are_not_whole_is_refused(tmp_path: Path) -> None:
    """Tensors that a folder lacks are not made up."""
    save_resnet(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop(next(name for name in tensors if name.endswith("convolution.weight")))
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})

    with pytest.raises(ModelError, match="lacks 1 tensors"):
        load_backbone(tmp_path)
