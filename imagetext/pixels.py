"""The first layer of every picture network: bytes to numbers, as part of the network, so that an engine does it."""

import torch
from torch import Tensor, nn

from imagetext.transform import PictureTransform


class Pixels(nn.Module):
    """Prepared pictures (n, 3, size, size) in bytes -> float32 as `PictureTransform.scale` gives them."""

    mean: Tensor
    std: Tensor

    def __init__(self, transform: PictureTransform) -> None:
        super().__init__()
        for name, values in (("mean", transform.mean), ("std", transform.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255)

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures.float() - self.mean) / self.std
