"""How networks start, and what of the picture network is tuned."""

from torch import nn

from imagetext.models.backbone import Backbone, load_backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.quantized import is_quantized
from imagetext.wire.errors import InvalidParameter


def starting_backbone(name: str, picture_from: str) -> Backbone:
    """The picture network as it comes or, where a captioner's model folder is named, as that one's training left it.

    Raises:
        InvalidParameter: the captioner's picture network is of another kind, or in integers.
    """
    backbone = load_backbone(name)
    if picture_from:
        captioner = load_captioner(picture_from)
        _require_floating_point(captioner.backbone, picture_from)
        tuned = captioner.backbone.state_dict()
        if {key: tensor.shape for key, tensor in tuned.items()} != _shapes(backbone):
            raise InvalidParameter(f"The picture network of {picture_from} is no {name}.")
        backbone.load_state_dict(tuned)
    return backbone


def start_from(decoder: nn.Module, captioner: CaptionModel) -> None:
    """Give a decoder the weights of a captioner's.

    Raises:
        InvalidParameter: that one is of another kind or size.
    """
    try:
        decoder.load_state_dict(captioner.decoder.state_dict())
    except RuntimeError:
        raise InvalidParameter(f"The decoder of {captioner.name} is of another kind or size.") from None


def starting_encoder(source: str) -> DualEncoder:
    """A dual encoder whose towers are tuned further.

    Raises:
        ModelError: it cannot be loaded.
        InvalidParameter: it is of another kind, or in integers.
    """
    encoder = load_in_torch(source)
    if not isinstance(encoder, DualEncoder):
        raise InvalidParameter(f"{source} is no dual encoder.")
    _require_floating_point(encoder.backbone, source)
    return encoder


def _require_floating_point(network: nn.Module, source: str) -> None:
    if is_quantized(network):
        raise InvalidParameter(f"{source} is in integers: only the model that it was made from can be trained further.")


def _shapes(module: nn.Module) -> dict[str, object]:
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


def tune_top(backbone: Backbone) -> None:
    """Leave only the top of the picture network to be changed.

    Its depthwise kernels stay, too: they are few, and their gradient takes a processor longer than all the rest. Batch
    normalisation keeps the statistics of ImageNet (callers leave it in evaluation): six thousand pictures would blur
    them.
    """
    backbone.requires_grad_(False)
    backbone.top.requires_grad_(True)
    for module in backbone.top.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.weight.requires_grad_(False)
