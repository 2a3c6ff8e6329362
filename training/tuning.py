"""What of the picture network is tuned."""

from torch import nn

from imagetext.backbone import Backbone


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
