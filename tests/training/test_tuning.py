"""Where the picture network starts, and what of it may change."""

from pathlib import Path

import pytest
import torch
from transformers import ResNetConfig, ResNetModel

from imagetext.backbone import EFFICIENTNET_LITE0, load_backbone
from imagetext.captioner.engine import load_captioner
from imagetext.errors import InvalidParameter
from training.tuning import starting_backbone, tune_top

CAPTIONER = Path(__file__).parents[2] / "models" / "caption-gru"


def test_a_tuned_picture_network_is_taken_over() -> None:
    """With a captioner's folder the top is that captioner's, the trunk as it comes."""
    plain, tuned = load_backbone(EFFICIENTNET_LITE0), load_captioner(CAPTIONER).backbone

    started = starting_backbone(EFFICIENTNET_LITE0, str(CAPTIONER)).state_dict()

    assert all(torch.equal(tensor, started[name]) for name, tensor in tuned.state_dict().items())
    assert all(torch.equal(tensor, started[f"trunk.{name}"]) for name, tensor in plain.trunk.state_dict().items())
    assert not torch.equal(started["top.4.conv.weight"], plain.state_dict()["top.4.conv.weight"])


def test_a_picture_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    """EfficientNet's weights are no start for a ResNet."""
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    ResNetModel(config).save_pretrained(tmp_path)

    with pytest.raises(InvalidParameter, match="picture network"):
        starting_backbone(str(tmp_path), str(CAPTIONER))


def test_only_the_top_may_change() -> None:
    """Of EfficientNet the top may change but for its depthwise kernels; its trunk never."""
    backbone = load_backbone(EFFICIENTNET_LITE0)

    tune_top(backbone)

    changing = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert changing
    assert all(name.startswith("top.") for name in changing)
    assert not any("depthwise.conv" in name for name in changing)
