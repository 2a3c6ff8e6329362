"""Pictures that are never seen twice alike: cut, mirrored and coloured anew, a whole batch at once."""

import torch
from torch import Tensor
from torch.nn import functional as F

ASPECT = 0.2  # the logarithm of the largest change


def augmented(pictures: Tensor, size: int, mirrors: Tensor, smallest: float, jitter: float) -> Tensor:
    """Random crops of pictures (n, 3, side, side) in bytes, in [0, 1] and float32: (n, 3, size, size).

    A crop takes from `smallest` to all of a picture's area. `mirrors` (n,) tells which pictures may be mirrored; half
    of them are. Saturation, contrast and brightness change by a factor of 1 - jitter to 1 + jitter. All chance is
    torch's.
    """
    count = len(pictures)
    grid = F.affine_grid(_crops(count, mirrors, smallest), [count, 3, size, size], align_corners=False)
    crops = F.grid_sample(pictures.float() / 255, grid, padding_mode="reflection", align_corners=False)
    saturation, contrast, brightness = 1 + jitter * (2 * torch.rand(3, count, 1, 1, 1) - 1)
    grey = crops.mean(1, keepdim=True)
    crops = torch.lerp(grey, crops, saturation)
    mean = grey.mean((2, 3), keepdim=True)
    coloured: Tensor = (torch.lerp(mean, crops, contrast) * brightness).clamp(0, 1)
    return coloured


def _crops(count: int, mirrors: Tensor, smallest: float) -> Tensor:
    """Where each crop lies, as an affine map of [-1, 1] x [-1, 1]: (n, 2, 3)."""
    area = smallest + (1 - smallest) * torch.rand(count)
    aspect = torch.exp(ASPECT * (2 * torch.rand(count) - 1))
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (2 * torch.rand(2, count) - 1) * (1 - torch.stack([wide, high]))
    mirrored = mirrors & (torch.rand(count) < 0.5)
    none = torch.zeros(count)
    rows = [torch.stack([torch.where(mirrored, -wide, wide), none, x], 1), torch.stack([none, high, y], 1)]
    return torch.stack(rows, 1)
