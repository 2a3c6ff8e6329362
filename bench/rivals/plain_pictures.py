"""A network in integers as torch runs the network that it was made from."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imagetext.backbone import EFFICIENTNET_LITE0, Backbone, load_backbone
from imagetext.captioner.model import CaptionModel
from imagetext.efficientnet import ConvNorm
from imagetext.encoder.dual import DualEncoder
from imagetext.quantized import QuantizedConv, is_quantized

LEAST_COSINE = 0.95  # of vectors with and without rounding, noise included: what is below has other weights


def in_float32(model: DualEncoder, *, norms: bool = True) -> DualEncoder:
    """The same model, in torch, with its picture network in float32."""
    return DualEncoder(
        model.name,
        model.fingerprint,
        _plain(model.backbone, norms),
        model.picture_head,
        model.text_tower,
        model.text_head,
        model.transform,
        model.calibration,
        model.concepts,
        model.labels,
    )


def captioner_in_float32(captioner: CaptionModel) -> CaptionModel:
    """The same captioner with its picture network in float32; itself where it is that already."""
    if not is_quantized(captioner.backbone):
        return captioner
    assert isinstance(captioner.backbone, Backbone)
    return CaptionModel(
        captioner.name,
        captioner.fingerprint,
        _plain(captioner.backbone, norms=True),
        captioner.decoder,
        captioner.vocabulary,
        captioner.transform,
        captioner.length_exponent,
    )


def require_the_same_network(plain: NDArray[np.float32], rounded: NDArray[np.float32]) -> None:
    """Raises ValueError where the unit rows (n, dimensions) of both differ by more than rounding."""
    lowest = float((plain * rounded).sum(1).min())
    if lowest < LEAST_COSINE:
        raise ValueError(f"the rival is another network: its cosine is {lowest:.3f}")


@torch.no_grad()
def _plain(integers: Backbone, norms: bool) -> Backbone:
    """The same weights in the layers of training: convolution, norm, activation, and nothing rounded.

    Torch takes two and a half times as long with rounding, which would flatter the other side. Without the norms, which
    are laid into the weights already, it takes a seventh less; but that is what an engine does.
    """
    plain = load_backbone(EFFICIENTNET_LITE0)
    layers = [part for part in integers.modules() if isinstance(part, QuantizedConv)]
    originals = [part for part in plain.modules() if isinstance(part, ConvNorm)]
    for layer, original in zip(layers, originals, strict=True):
        _copy(layer, original, norms)
    return plain


def _copy(layer: QuantizedConv, original: ConvNorm, norms: bool) -> None:
    """In the network's own units, which the layer is not in."""
    norm, bias = original.norm, layer.conv.bias
    assert bias is not None
    original.conv.weight.copy_(layer.conv.weight / layer.scale)
    if not norms:
        original.conv.bias = nn.Parameter(bias / layer.unit, requires_grad=False)
        original.norm = nn.Identity()  # type: ignore[assignment]
        return
    for tensor, value in ((norm.weight, 1.0), (norm.running_mean, 0.0), (norm.running_var, 1 - norm.eps)):
        assert tensor is not None
        tensor.fill_(value)
    norm.bias.copy_(bias / layer.unit)
