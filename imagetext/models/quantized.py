"""EfficientNet-Lite0 in int8, computed alike by every engine, bit for bit.

Weights and activations are 8-bit integers times a step (Jacob et al., 2018, "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 2), and every step is a power of two (Jain et
al., 2020, "Trained Quantization Thresholds", section 3.2). Multiplying by a power of two rounds nothing, and the sums
of a layer fit into the 24 bits of a float32. So torch, which computes in floating point, and an engine that uses 8-bit
instructions give the same numbers. With other steps they differ by nearly as much as quantisation itself loses, because
a value that one layer rounds the other way grows in the next.

Within a block values are in wide units, in which the 6 of ReLU6 is the largest 8-bit integer: rounding clips where the
activation would, and all 256 values are in use. Weights carry the units (Nagel et al., 2019,
"Data-Free Quantization", section 4.1: scaling one layer up and the next one down changes nothing).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.engines.int8 import SIGNED, UNSIGNED, rounded
from imagetext.models.efficientnet import ConvNorm, EfficientNetLite0, InvertedResidual, padded

LARGEST = 64  # of a weight: two products with 8-bit activations, 2 x 255 x 64, fit into 16 bits
FINEST = -15  # the exponent of the finest step: finer ones belong to dead channels, and sums would exceed 24 bits
INPUT_STEP = 2.0**-7  # pictures are (x - 127) / 128
WIDE_STEP = 2.0**-5
WIDE = UNSIGNED[1] * WIDE_STEP / 6  # wide units in one of the network's own, 85/64


@torch.no_grad()
def quantized_weights(layer: ConvNorm, scale: float) -> tuple[Tensor, Tensor]:
    """Weights with the norm folded in (Jacob et al., 2018, section 3.2), times `scale`, and their steps (outputs,)."""
    assert layer.norm.running_var is not None, "it is never trained without"
    of_norm = layer.norm.weight / (layer.norm.running_var + layer.norm.eps).sqrt()
    weight = layer.conv.weight * of_norm[:, None, None, None] * scale
    steps = weight_steps(weight)
    return _whole(weight, steps[:, None, None, None]), steps


def weight_steps(weight: Tensor) -> Tensor:
    """The step of each output channel (outputs,): the better of two powers of two, one of which clips nothing."""
    rows = weight.flatten(1)
    coarse = torch.exp2((rows.abs().amax(1) / LARGEST).log2().ceil().clamp(min=FINEST))
    fine = (coarse / 2).clamp(min=2.0**FINEST)
    errors = [(_whole(rows, step[:, None]) - rows).square().sum(1) for step in (coarse, fine)]
    return torch.where(errors[1] < errors[0], fine, coarse)


def _whole(weight: Tensor, step: Tensor) -> Tensor:
    return (weight / step).round().clamp(-LARGEST, LARGEST) * step


class Rounding(nn.Module):
    """Values of any shape -> the nearest of 256 multiples of a step."""

    step: Tensor

    def __init__(self, *, signed: bool, step: float = 1.0) -> None:
        super().__init__()
        self.signed = signed
        self.register_buffer("step", torch.tensor(step))
        self._number = step  # a constant of what is exported
        self.register_load_state_dict_post_hook(_read_step)  # type: ignore[no-untyped-call]

    def set_step(self, step: float) -> None:
        self.step.fill_(step)
        self._number = step

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = rounded(x, self._number, self.signed)
        return y


def _read_step(rounding: Rounding, _: object) -> None:
    rounding.set_step(float(rounding.step))


class WeightRounding(nn.Module):
    """Weights (outputs, inputs, rows, columns) -> the nearest multiples of their channel's step, (outputs,).

    Loaded weights are multiples already: this tells engines so.
    """

    step: Tensor
    zero: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("step", torch.ones(channels))
        self.register_buffer("zero", torch.zeros(channels, dtype=torch.int32), persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return torch.fake_quantize_per_channel_affine(weight, self.step, self.zero, 0, *SIGNED)


class QuantizedConv(nn.Module):
    """A `ConvNorm` with its norm folded into weights and bias.

    A layer with an activation rounds to unsigned integers.

    Attributes:
        unit: the factor of its outputs over those of the `ConvNorm`.
        scale: the factor of its weights, which converts its inputs' unit to `unit`.
    """

    def __init__(self, layer: ConvNorm, *, taken: float = 1.0, unit: float = 1.0, rounds: bool = True) -> None:
        """
        Args:
            taken: the unit of its inputs.
            unit: the unit of its outputs, 1 or WIDE.
            rounds: False if something is added before rounding.
        """
        super().__init__()
        conv = layer.conv
        self.conv = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0], groups=conv.groups
        )
        self.act = layer.act
        self.unit, self.scale = unit, unit / taken
        self.weight_rounding = WeightRounding(conv.out_channels)
        weight, steps = quantized_weights(layer, self.scale)
        self.conv.weight.data.copy_(weight)
        self.weight_rounding.step.copy_(steps)
        step = WIDE_STEP if unit == WIDE else 1.0
        self.rounding = Rounding(signed=not layer.act, step=step) if rounds else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rounding(self.activated(self.summed(x)))
        return y

    def summed(self, x: Tensor) -> Tensor:
        """Convolution and bias alone."""
        conv = self.conv
        weight = self.weight_rounding(conv.weight)
        return F.conv2d(padded(x, conv), weight, conv.bias, conv.stride, groups=conv.groups)

    def activated(self, y: Tensor) -> Tensor:
        """In wide units rounding does the clipping."""
        return F.relu6(y) if self.act and self.unit != WIDE else y


class QuantizedResidual(nn.Module):
    """An `InvertedResidual`; with a skip only the sum is rounded, because engines add before they round.

    A block that does not widen takes inputs in wide units: it follows the first layer.
    """

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self.expand = QuantizedConv(block.expand, unit=WIDE) if isinstance(block.expand, ConvNorm) else nn.Identity()
        self.depthwise = QuantizedConv(block.depthwise, taken=WIDE, unit=WIDE)
        self.project = QuantizedConv(block.project, taken=WIDE, rounds=not block.skip)
        self.rounding = Rounding(signed=True) if block.skip else nn.Identity()
        self.skip = block.skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return self.rounding(x + y) if self.skip else y


class QuantizedEfficientNetLite0(nn.Module):
    """An `EfficientNetLite0` in int8, with the same two halves; biases, activation steps and tuned weights come from a
    model folder or are fitted by `training.quantize`."""

    def __init__(self, layers: EfficientNetLite0) -> None:
        super().__init__()
        stem, *blocks = layers.trunk
        *more, last = layers.top
        self.trunk = nn.Sequential(
            Rounding(signed=True, step=INPUT_STEP),
            QuantizedConv(cast(ConvNorm, stem), unit=WIDE),
            *(QuantizedResidual(cast(InvertedResidual, block)) for block in blocks),
        )
        self.top = nn.Sequential(
            *(QuantizedResidual(cast(InvertedResidual, block)) for block in more), QuantizedConv(cast(ConvNorm, last))
        )
        self.requires_grad_(False)  # and torch cannot export its rounding otherwise

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.top(self.trunk(x))
        return features


def is_quantized(network: nn.Module) -> bool:
    """Whether any part of it computes in int8."""
    return any(isinstance(part, Rounding) for part in network.modules())
