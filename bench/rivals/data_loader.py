"""A folder of pictures to vectors with torch's DataLoader, as its documentation shows for files on disk."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from imagetext.cores import usable_cores
from imagetext.transform import PictureTransform

BATCH = 32
Network = Callable[[Tensor], Tensor]  # scaled pictures (n, 3, size, size) -> unit rows


class Pictures(Dataset[Tensor]):
    """A folder's JPEGs, decoded, resized and scaled: (3, size, size) float32."""

    def __init__(self, folder: Path, transform: PictureTransform) -> None:
        self.files: Sequence[Path] = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Tensor:
        size = self.transform.size
        with Image.open(self.files[place]) as picture:
            small = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)[None]
        return torch.from_numpy(self.transform.scale(pixels)[0])


@torch.inference_mode()
def vectors_of(
    folder: Path, transform: PictureTransform, network: Network, *, seconds: float = math.inf
) -> NDArray[np.float32]:
    """Unit rows (n, dimensions) in the order of the names; no more are begun after `seconds`."""
    workers, began, rows = usable_cores(), time.perf_counter(), []
    for batch in DataLoader(Pictures(folder, transform), batch_size=BATCH, num_workers=workers):
        rows.append(network(batch))
        if time.perf_counter() - began > seconds:
            break
    found: NDArray[np.float32] = torch.cat(rows).numpy()
    return found
