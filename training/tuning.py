"""Where a training run starts from, and which part of the picture network it trains."""

from torch import nn

from imagetext.models.backbone import Backbone, load_backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.quantized import is_quantized
from imagetext.wire.errors import InvalidParameter


def starting_backbone(name: str, picture_from: str) -> Backbone:
    """The packaged picture network or, if a captioner's model folder is given, the one trained there.

    Raises:
        InvalidParameter: the captioner's picture network is of another kind, or in int8.
    """
    backbone = load_backbone(name)
    if picture_from:
        captioner = load_captioner(picture_from)
        _require_floating_point(captioner.backbone, picture_from)
        tuned = captioner.backbone.state_dict()
        if {key: tensor.shape for key, tensor in tuned.items()} != _shapes(backbone):
            raise InvalidParameter(f"The picture network of {picture_from} is not {name}.")
        backbone.load_state_dict(tuned)
    return backbone


def start_from(decoder: nn.Module, captioner: CaptionModel) -> None:
    """Copy the weights of a captioner's decoder.

    Raises:
        InvalidParameter: it is of another kind or size.
    """
    try:
        decoder.load_state_dict(captioner.decoder.state_dict())
    except RuntimeError:
        raise InvalidParameter(f"The decoder of {captioner.name} is of another kind or size.") from None


def starting_encoder(source: str) -> DualEncoder:
    """A dual encoder to train further.

    Raises:
        ModelError: it cannot be loaded.
        InvalidParameter: it is of another kind, or in int8.
    """
    encoder = load_in_torch(source)
    if not isinstance(encoder, DualEncoder):
        raise InvalidParameter(f"{source} is not a dual encoder.")
    _require_floating_point(encoder.backbone, source)
    return encoder


def _require_floating_point(network: nn.Module, source: str) -> None:
    if is_quantized(network):
        raise InvalidParameter(
            f"{source} is in int8; only the floating-point model that it was made from can be trained."
        )


def _shapes(module: nn.Module) -> dict[str, object]:
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


def tune_top(backbone: Backbone) -> None:
    """Make only the top of the picture network trainable.

    Its depthwise kernels are frozen: they are few, and on a CPU their gradient takes longer than all the rest. Batch
    normalisation keeps ImageNet's statistics (callers leave it in eval mode): six thousand pictures would blur them.
    """
    backbone.requires_grad_(False)
    backbone.top.requires_grad_(True)
    for module in backbone.top.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.weight.requires_grad_(False)
