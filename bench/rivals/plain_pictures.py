"""A network in integers as torch runs the network that it was made from."""

import torch

from imagetext.backbone import EFFICIENTNET_LITE0, Backbone, load_backbone
from imagetext.efficientnet import ConvNorm
from imagetext.encoder.dual import DualEncoder
from imagetext.quantized import QuantizedConv


def in_float32(model: DualEncoder) -> DualEncoder:
    """The same model, in torch, with its picture network in float32."""
    towers = model.picture_head, model.text_tower, model.text_head
    return DualEncoder(
        model.name, model.fingerprint, _plain(model.backbone), *towers, model.transform, model.calibration
    )


@torch.no_grad()
def _plain(integers: Backbone) -> Backbone:
    """The same weights in the layers of training: convolution, norm, activation, and nothing rounded.

    Torch takes two and a half times as long with rounding, which would flatter the other side. Without the norms, which
    are laid into the weights already, it would take a seventh less; but that is what an engine does.
    """
    plain = load_backbone(EFFICIENTNET_LITE0)
    layers = [part for part in integers.modules() if isinstance(part, QuantizedConv)]
    originals = [part for part in plain.modules() if isinstance(part, ConvNorm)]
    for layer, original in zip(layers, originals, strict=True):
        norm = original.norm
        original.conv.weight.copy_(layer.conv.weight / layer.scale)
        for tensor, value in ((norm.weight, 1.0), (norm.running_mean, 0.0), (norm.running_var, 1 - norm.eps)):
            assert tensor is not None
            tensor.fill_(value)
        assert layer.conv.bias is not None
        norm.bias.copy_(layer.conv.bias / layer.unit)
    return plain
