"""Where the picture network starts, and what of it may change."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import ResNetConfig, ResNetModel

from imagetext.models.backbone import EFFICIENTNET_LITE0, load_backbone
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.wire.errors import InvalidParameter
from training.tuning import starting_backbone, tune_top

SHIPPED = Path(__file__).parents[2] / "models" / "caption-gru"


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """The folder of a captioner in floating point, whose last layer has been tuned."""
    backbone, words = load_backbone(EFFICIENTNET_LITE0), ["dog"]
    backbone.top[4].conv.weight.data.mul_(2)
    decoder = AttentionDecoder(DecoderShape(len(Vocabulary(words)), backbone.channels, 16, 8))
    start = load_backbone(EFFICIENTNET_LITE0).state_dict()
    config = {
        "format": 1,
        "kind": "captioner",
        "architecture": decoder.architecture,
        "name": "tuned",
        "backbone": EFFICIENTNET_LITE0,
        "decoder": asdict(decoder.shape),
        "length_exponent": 0.9,
        "transform": PictureTransform().to_config(),
    }
    tensors = changed_tensors("decoder", decoder) | changed_tensors("backbone", backbone, start)
    write_model_folder(tmp_path / "tuned", config, tensors, "# tuned", {"vocabulary.txt": "\n".join(words)})
    return tmp_path / "tuned"


def test_a_tuned_picture_network_is_taken_over(tuned: Path) -> None:
    """With a captioner's folder the top is that captioner's, the trunk as it comes."""
    plain, found = load_backbone(EFFICIENTNET_LITE0), load_captioner(tuned).backbone

    started = starting_backbone(EFFICIENTNET_LITE0, str(tuned)).state_dict()

    assert all(torch.equal(tensor, started[name]) for name, tensor in found.state_dict().items())
    assert all(torch.equal(tensor, started[f"trunk.{name}"]) for name, tensor in plain.trunk.state_dict().items())
    assert not torch.equal(started["top.4.conv.weight"], plain.state_dict()["top.4.conv.weight"])


def test_a_picture_network_of_another_kind_is_refused(tuned: Path, tmp_path: Path) -> None:
    """EfficientNet's weights are no start for a ResNet, and whole numbers are none for training."""
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    ResNetModel(config).save_pretrained(tmp_path)

    with pytest.raises(InvalidParameter, match="picture network"):
        starting_backbone(str(tmp_path), str(tuned))
    with pytest.raises(InvalidParameter, match="in int8"):
        starting_backbone(EFFICIENTNET_LITE0, str(SHIPPED))


def test_only_the_top_may_change() -> None:
    """Of EfficientNet the top may change but for its depthwise kernels; its trunk never."""
    backbone = load_backbone(EFFICIENTNET_LITE0)

    tune_top(backbone)

    changing = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert changing
    assert all(name.startswith("top.") for name in changing)
    assert not any("depthwise.conv" in name for name in changing)
