"""The picture networks that may stand under a model: EfficientNet-Lite0 by default, any of transformers' by name."""

from pathlib import Path

import torch
from torch import Tensor, nn

from imagetext.efficientnet import CHANNELS, EfficientNetLite0, imagenet_weights
from imagetext.errors import ModelError
from imagetext.model_folder import require_source

EFFICIENTNET_LITE0 = "efficientnet-lite0"


class Backbone(nn.Module):
    """Scaled RGB pictures (n, 3, size, size) -> a grid of features (n, rows * columns, channels), row by row."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.network = network
        self.channels = channels

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.network(pictures)
        features = features if isinstance(features, Tensor) else features.last_hidden_state
        return features.flatten(2).transpose(1, 2)

    def places(self, size: int) -> int:
        """How many places the grid has for pictures of `size` pixels a side."""
        with torch.inference_mode():
            return int(self(torch.zeros(1, 3, size, size)).shape[1])


def load_backbone(source: str | Path) -> Backbone:
    """EfficientNet-Lite0 with its packaged weights, or a convolutional network by folder or hub id.

    MobileNetV2 (`google/mobilenet_v2_1.0_224`) and ResNet50 (`microsoft/resnet-50`) were the original's encoders.

    Raises:
        ModelError: nothing loadable is found there, or it gives no grid of features.
    """
    if str(source) == EFFICIENTNET_LITE0:
        network = EfficientNetLite0()
        network.load_state_dict(imagenet_weights())
        return Backbone(network.eval(), CHANNELS)
    require_source(source)
    from transformers import AutoModel

    try:
        pretrained = AutoModel.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(f"No picture network could be loaded from {source}.") from error
    return Backbone(pretrained.eval(), _channels(pretrained, source))


def _channels(network: nn.Module, source: str | Path) -> int:
    with torch.inference_mode():
        grid = getattr(network(torch.zeros(1, 3, 64, 64)), "last_hidden_state", torch.empty(0))
    if grid.dim() != 4:
        raise ModelError(f"{source} gives no grid of features; a convolutional network is needed here.")
    return int(grid.shape[1])
