"""Pictures on which engines are compared with torch: the same in every start, so that one passes always or never."""

import torch
from torch import Tensor
from torch.nn import functional as F

COARSE = (2, 4, 8)  # places across: like noise, photographs have edges, but also large even parts, which noise lacks
EACH = 2
SEED = 0


def example_pictures(size: int) -> Tensor:
    """Prepared pictures (n, 3, size, size) in bytes: noise, then smooth ones, on which half precision is worst."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.rand(EACH, 3, size, size, generator=generator)
    smooth = [
        F.interpolate(torch.rand(EACH, 3, across, across, generator=generator), size=(size, size), mode="bicubic")
        for across in COARSE
    ]
    return (torch.cat([noise, *smooth]).clamp(0, 1) * 255).to(torch.uint8)
