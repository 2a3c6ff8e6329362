"""A network in integers as plain torch would run it: the same weights in float32, and nothing rounded between."""

from torch import nn

from imagetext.quantized import Rounding, WeightRounding


def leave_out_rounding(network: nn.Module) -> None:
    """Let a network compute in float32. Rounding takes torch longer, which would flatter the other side."""
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, Rounding | WeightRounding):
                setattr(part, name, nn.Identity())
