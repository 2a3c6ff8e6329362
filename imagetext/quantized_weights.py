"""A layer's weights as whole numbers of 8 bits: the same each time, so that what is not tuned need not be stored."""

import torch
from torch import Tensor

from imagetext.efficientnet import ConvNorm

LARGEST = 64  # of a weight: two products with 8-bit activations, 2 x 255 x 64, fit into 16 bits
FINEST = -15  # the exponent of the finest step: below it are channels that do nothing, and sums of over 24 bits


@torch.no_grad()
def quantized_weights(layer: ConvNorm, scale: float) -> tuple[Tensor, Tensor]:
    """Weights with the norm's scale laid into them (Jacob et al., 2018, section 3.2), so many times as large, and their
    steps (outputs,)."""
    assert layer.norm.running_var is not None, "it is never trained without"
    of_norm = layer.norm.weight / (layer.norm.running_var + layer.norm.eps).sqrt()
    weight = layer.conv.weight * of_norm[:, None, None, None] * scale
    steps = weight_steps(weight)
    return _whole(weight, steps[:, None, None, None]), steps


def weight_steps(weight: Tensor) -> Tensor:
    """Of each output channel of a kernel, (outputs,): the better of two powers of two; one of them cuts nothing off."""
    rows = weight.flatten(1)
    coarse = torch.exp2((rows.abs().amax(1) / LARGEST).log2().ceil().clamp(min=FINEST))
    fine = (coarse / 2).clamp(min=2.0**FINEST)
    errors = [(_whole(rows, step[:, None]) - rows).square().sum(1) for step in (coarse, fine)]
    return torch.where(errors[1] < errors[0], fine, coarse)


def _whole(weight: Tensor, step: Tensor) -> Tensor:
    return (weight / step).round().clamp(-LARGEST, LARGEST) * step
