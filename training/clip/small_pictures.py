"""A whole split in memory: every picture decoded once, small, in bytes."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from imagetext.pictures import open_picture
from imagetext.transform import PictureTransform
from training.dataset import CaptionedPicture

THREADS = 2


def small_pictures(pictures: Sequence[CaptionedPicture], side: int, cache: Path) -> Tensor:
    """All pictures squashed to (n, 3, side, side) bytes, from the cache file of exactly these files."""
    files = [[str(picture.path), picture.path.stat().st_size] for picture in pictures]
    file = cache / f"pictures-{hashlib.sha256(json.dumps([files, side]).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        transform = PictureTransform(size=side)
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda one: transform.resize(open_picture(one.path, target=2 * side)), pictures)
            whole = np.stack(list(tqdm(found, total=len(pictures), desc="decoding", unit="picture")))
        with file.with_suffix(".unfinished").open("wb") as out:
            np.save(out, whole)
        os.replace(file.with_suffix(".unfinished"), file)
    return torch.from_numpy(np.load(file))
