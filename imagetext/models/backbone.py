"""The picture networks under a model: EfficientNet-Lite0 by default, any of transformers' by name."""

from pathlib import Path

import torch
from torch import Tensor, nn

from imagetext.models.efficientnet import CHANNELS, EfficientNetLite0, imagenet_weights
from imagetext.models.folder import require_source
from imagetext.models.quantized import QuantizedEfficientNetLite0
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import ModelError

EFFICIENTNET_LITE0 = "efficientnet-lite0"
# Named after its units, so that a model with other units is refused. Untuned weights come from the package.
IN_INTEGERS = "efficientnet-lite0-w7a8"


class Pixels(nn.Module):
    """Prepared pictures (n, 3, size, size) in bytes -> float32 as `PictureTransform.scale` gives them.

    The first layer of every exported picture network, so that the engine does it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, transform: PictureTransform) -> None:
        super().__init__()
        for name, values in (("mean", transform.mean), ("std", transform.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255)

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures.float() - self.mean) / self.std


class Backbone(nn.Module):
    """Scaled RGB pictures (n, 3, size, size) -> a grid of features (n, rows * columns, channels), row by row.

    In two halves, `top(trunk(pictures))`: training may tune the top and cache the trunk's outputs.
    """

    def __init__(self, trunk: nn.Module, top: nn.Module, channels: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.top = top
        self.channels = channels

    def forward(self, pictures: Tensor) -> Tensor:
        return self.grid(self.maps(pictures))

    def pooled(self, pictures: Tensor) -> Tensor:
        """The mean over the places of the grid: (n, channels).

        Taken before the grid is laid out row by row: OpenVINO 2026.4 fuses a mean over such rows with the next layer
        and gets other numbers.
        """
        features: Tensor = self.top(self.maps(pictures))
        return features.mean((2, 3))

    def maps(self, pictures: Tensor) -> Tensor:
        """The trunk's maps (n, its channels, rows, columns)."""
        maps = self.trunk(pictures)
        return maps if isinstance(maps, Tensor) else maps.last_hidden_state

    def grid(self, maps: Tensor) -> Tensor:
        """The trunk's maps -> the grid of features."""
        features: Tensor = self.top(maps)
        return features.flatten(2).transpose(1, 2)


def load_backbone(source: str | Path) -> Backbone:
    """EfficientNet-Lite0 with its packaged weights, or a convolutional network by folder or hub id.

    MobileNetV2 (`google/mobilenet_v2_1.0_224`) and ResNet50 (`microsoft/resnet-50`) were the original's encoders.

    Raises:
        ModelError: nothing loadable is there, or its output is not a grid of features.
    """
    if str(source) in (EFFICIENTNET_LITE0, IN_INTEGERS):
        network = EfficientNetLite0()
        network.load_state_dict(imagenet_weights())
        halves = QuantizedEfficientNetLite0(network) if str(source) == IN_INTEGERS else network
        return Backbone(halves.trunk, halves.top, CHANNELS).eval()
    require_source(source)
    from transformers import AutoModel

    try:
        pretrained, loaded = AutoModel.from_pretrained(source, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"No picture network could be loaded from {source}.") from error
    if loaded["missing_keys"]:
        raise ModelError(f"{source} lacks {len(loaded['missing_keys'])} tensors of its picture network.")
    return Backbone(pretrained, nn.Identity(), _channels(pretrained.eval(), source)).eval()


def backbone_transform(source: str | Path) -> PictureTransform:
    """Size and scale as the network's own preprocessing has them, squashed: so the grid covers the whole picture.

    Raises:
        ModelError: a network by folder or hub id comes without its preprocessor_config.json.
    """
    if str(source) in (EFFICIENTNET_LITE0, IN_INTEGERS):
        return PictureTransform()
    require_source(source)
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        config, _ = ImageProcessingMixin.get_image_processor_dict(source)
    except (OSError, ValueError) as error:
        raise ModelError(f"{source} has no preprocessor_config.json, which defines how pictures are scaled.") from error
    size = config.get("crop_size") or config.get("size", PictureTransform.size)
    if isinstance(size, dict):
        size = size.get("height") or size["shortest_edge"]
    if not config.get("do_normalize", True):
        return PictureTransform(int(size), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return PictureTransform(int(size), mean=tuple(config["image_mean"]), std=tuple(config["image_std"]))


def _channels(network: nn.Module, source: str | Path) -> int:
    with torch.inference_mode():
        grid = getattr(network(torch.zeros(1, 3, 64, 64)), "last_hidden_state", torch.empty(0))
    if grid.dim() != 4:
        raise ModelError(f"{source} has no grid of features; a convolutional network is required.")
    return int(grid.shape[1])
