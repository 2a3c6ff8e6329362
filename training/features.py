"""What the frozen trunk of the picture network gives, computed once and kept in a memory-mapped file.

Every picture is seen in several views: whole, mirrored, and seeded random crops. The file is filled in order and
remembers how far it came, so an interrupted run goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.engines.export import Program, run_in_fastest
from imagetext.models.backbone import Backbone, load_backbone
from imagetext.models.transform import PictureTransform
from imagetext.pictures import open_picture
from training.dataset import CaptionedPicture

DRAWN_VIEWS = 2  # whole and mirrored: a crop could cut off what a drawn scene's sentence counts
WHOLE, MIRRORED = 0, 1  # the first two views; random crops follow, every second one mirrored
BATCH = 8  # pictures a step
FEW = 1000  # views that torch has done before another engine has been chosen
CROP_AREA = (0.5, 0.95)  # share of the picture


Encode = Callable[[NDArray[np.float32]], NDArray[np.float16]]  # (n, 3, size, size) -> (n, rows, columns, channels)


@dataclass(frozen=True)
class Features:
    """`maps` is float16 (pictures, views, rows, columns, channels); `mirrored[view]`: left and right are exchanged."""

    maps: NDArray[np.float16]
    mirrored: tuple[bool, ...]
    file: Path

    def of(self, rows: Tensor, views: Tensor) -> Tensor:
        """The maps of n pictures, each in one view: (n, channels, rows, columns), channels last."""
        picked = torch.from_numpy(self.maps[rows.numpy(), views.numpy()])
        return picked.float().permute(0, 3, 1, 2)


def is_mirrored(view: int) -> bool:
    return view % 2 == MIRRORED


def cached_features(
    pictures: Sequence[CaptionedPicture], views: int, cache: Path, transform: PictureTransform, backbone: str
) -> Features:
    """The features of all pictures, from the cache file that belongs to exactly these pictures and views."""
    cache.mkdir(parents=True, exist_ok=True)
    files = [[str(p.path), p.path.stat().st_size] for p in pictures]
    network = load_backbone(backbone)
    shape = (len(pictures), views, *_grid(network, transform.size))
    identity = json.dumps([files, shape, transform.to_config(), backbone])
    stem = cache / f"features-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    data, progress = stem.with_suffix(".npy"), stem.with_suffix(".done")
    done = int(progress.read_text()) if data.exists() and progress.exists() else 0
    maps = np.lib.format.open_memmap(data, mode="r+" if data.exists() else "w+", dtype=np.float16, shape=shape)
    if done < len(pictures):
        _fill(maps, pictures, views, transform, network, progress, done)
    return Features(maps, tuple(is_mirrored(view) for view in range(views)), data)


@torch.inference_mode()
def _grid(network: Backbone, size: int) -> tuple[int, int, int]:
    _, channels, rows, columns = network.maps(torch.zeros(1, 3, size, size)).shape
    return rows, columns, channels


def _fill(
    maps: NDArray[np.float16],
    pictures: Sequence[CaptionedPicture],
    views: int,
    transform: PictureTransform,
    network: Backbone,
    progress: Path,
    done: int,
) -> None:
    left = (len(pictures) - done) * views
    encode = _in_torch(network) if left <= FEW else _in_fastest_engine(network, transform.size, BATCH * views)
    bar = tqdm(total=len(pictures), initial=done, desc="features", unit="picture")
    with ThreadPoolExecutor(1) as pool, bar:

        def prepared(start: int) -> Future[NDArray[np.uint8]]:
            return pool.submit(_batch, pictures[start : start + BATCH], views, transform)

        ahead = prepared(done)
        for start in range(done, len(pictures), BATCH):
            batch, ahead = ahead.result(), prepared(start + BATCH)
            end = min(start + BATCH, len(pictures))
            maps[start:end] = encode(transform.scale(batch)).reshape(end - start, *maps.shape[1:])
            bar.update(end - start)
            progress.write_text(str(end))


def _batch(pictures: Sequence[CaptionedPicture], views: int, transform: PictureTransform) -> NDArray[np.uint8]:
    cuts = [view for picture in pictures for view in views_of(picture, views, transform)]
    return np.stack(cuts) if cuts else np.empty((0, 3, transform.size, transform.size), dtype=np.uint8)


class _Trunk(nn.Module):
    """Scaled pictures -> the trunk's maps, channels last."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, scaled: Tensor) -> Tensor:
        return self.network.maps(scaled).permute(0, 2, 3, 1)


def _in_torch(network: Backbone) -> Encode:
    trunk = _Trunk(network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(scaled: NDArray[np.float32]) -> NDArray[np.float16]:
        maps: Tensor = trunk(torch.from_numpy(scaled).to(memory_format=torch.channels_last))
        return maps.half().numpy()

    return encode


def _in_fastest_engine(network: Backbone, size: int, batch: int) -> Encode:
    """An engine that compiles the graph takes a tenth of the time that torch takes for depthwise convolutions."""
    example = torch.randn(batch, 3, size, size)
    program = Program("trunk", _Trunk(network.eval()).eval(), (example,), ((0,),))
    run = run_in_fastest(program, Engines(threads=torch.get_num_threads()))
    return lambda scaled: run(scaled)[0].astype(np.float16)


def views_of(captioned: CaptionedPicture, views: int, transform: PictureTransform) -> list[NDArray[np.uint8]]:
    """A picture whole, mirrored, and in crops that are the same each time; each (3, size, size)."""
    picture = open_picture(captioned.path)
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(captioned.name.encode()).digest()[:8]))
    cuts = [picture, picture] + [_crop(picture, random) for _ in range(views - 2)]
    return [
        transform.resize(ImageOps.mirror(cut) if is_mirrored(view) else cut) for view, cut in enumerate(cuts[:views])
    ]


def _crop(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    area = random.uniform(*CROP_AREA)
    aspect = np.exp(random.uniform(-0.2, 0.2))
    width = min(picture.width, round(picture.width * np.sqrt(area * aspect)))
    height = min(picture.height, round(picture.height * np.sqrt(area / aspect)))
    left, top = random.integers(0, picture.width - width + 1), random.integers(0, picture.height - height + 1)
    return picture.crop((int(left), int(top), int(left) + width, int(top) + height))
