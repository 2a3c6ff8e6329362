"""A folder of one format to vectors: how much of the time goes into something other than decoding and the model.

Each folder has 300 pictures, no two equal: scenes of the gallery, cut and scaled to the size wanted, with noise like
that of a camera, so that files are about as large as photos (a JPEG of 12 megapixels has 3 MB). Each round measures
three rates, in pictures a second:

- the indexer with `models/retrieval`, with all that it writes;
- decoding alone: the same files through the same reading, decoding and resizing, a thread for each core, with no model;
- the model alone: prepared pictures, batches as the indexer makes them, all cores.

Decoding and the model need the same cores, so together they allow 1 / (1 / decoding + 1 / model). That is the rival's
value, and the ratio is the indexer's share of it. `details` has the share of decoding alone.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.row import Contest, Setting
from bench.rows.indexing import BARE_S, bare_model, compact_encoder, indexing_rate
from bench.rows.pictures import scenes
from imagetext.machine import usable_cores
from imagetext.models.encoder.engine import Encoder
from imagetext.pictures import open_picture, read_picture_file

PICTURES = 300
SEED = 6
NOISE = 6.0  # standard deviation of the brightness, of 255; that of each colour is a third
TILE = 1024  # pixels; noise is drawn once in this size, and laid over each picture at another place


@dataclass(frozen=True)
class Format:
    """How the files of a folder are written."""

    title: str
    size: tuple[int, int]
    suffix: str
    options: dict[str, Any]


FORMATS = {
    "jpeg-12mp": Format("JPEGs of 12 megapixels", (4000, 3000), ".jpg", {"quality": 90}),
    "jpeg-2mp": Format("JPEGs of 2 megapixels", (1632, 1224), ".jpg", {"quality": 90}),
    "png": Format("PNGs of 2 megapixels", (1632, 1224), ".png", {"compress_level": 6}),
    "webp": Format("WebPs of 2 megapixels", (1632, 1224), ".webp", {"quality": 80}),
}


@contextmanager
def indexing_format(setting: Setting, name: str) -> Iterator[Contest]:
    """The indexer against what decoding and the model together allow."""
    folder, encoder = folder_of(setting, name), compact_encoder(setting)
    rates: dict[str, list[float]] = {"indexer": [], "decoding": [], "model": []}

    def indexer() -> float:
        rates["indexer"].append(indexing_rate(setting, folder, encoder))
        return rates["indexer"][-1]

    def allowed() -> float:
        rates["decoding"].append(decoding(folder, encoder))
        rates["model"].append(bare_model(setting, encoder, seconds=setting.sized(BARE_S, 0)).value)
        return together(rates["decoding"][-1], rates["model"][-1])

    yield Contest(
        ours=indexer,
        rival=allowed,
        engine=f"pictures: {encoder.engines['pictures'].engine}, {encoder.streams} batches at once",
        details=lambda: _details(folder, {side: median(found[1:]) for side, found in rates.items()}),
    )


def together(decoding: float, model: float) -> float:
    """The rate of two works on the same cores, one after the other, by the rate of each alone."""
    return 1 / (1 / decoding + 1 / model)


def decoding(folder: Path, encoder: Encoder) -> float:
    """Pictures a second that are read, decoded and resized for the model, with a thread for each core."""

    def prepared(file: Path) -> object:
        return encoder.prepare(open_picture(read_picture_file(file), target=encoder.decoded_side))

    files = sorted(folder.iterdir())
    with ThreadPoolExecutor(usable_cores()) as pool:
        start = time.perf_counter()
        list(pool.map(prepared, files))
        return len(files) / (time.perf_counter() - start)


def folder_of(setting: Setting, name: str) -> Path:
    """The pictures of a format, drawn once."""
    number = setting.sized(PICTURES, 32)
    folder, written = setting.folder(f"formats/{name}-{number}"), setting.cache / f"formats/{name}-{number}.written"
    if not written.exists():
        draw = partial(write, scenes(setting), folder, FORMATS[name])
        with ThreadPoolExecutor(setting.threads) as pool:
            list(pool.map(draw, range(number)))
        written.touch()
    return folder


def write(sources: Sequence[Path], folder: Path, wanted: Format, place: int) -> None:
    """One picture: the same for the same place, unlike all others."""
    random = np.random.default_rng((SEED, place))
    with Image.open(sources[place % len(sources)]) as scene:
        left, top = random.integers(0, 16, 2).tolist()
        cut = scene.convert("RGB").crop((left, top, scene.width - 16 + left, scene.height - 16 + top))
    pixels = np.asarray(cut.resize(wanted.size, Image.Resampling.BICUBIC), dtype=np.int16)
    height, width, _ = pixels.shape
    down, right = random.integers(0, TILE, 2).tolist()
    noise = np.tile(_noise(), (height // TILE + 2, width // TILE + 2, 1))[down : down + height, right : right + width]
    noisy = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    noisy.save(folder / f"{place:06d}{wanted.suffix}", **wanted.options)


@cache
def _noise() -> NDArray[np.int16]:
    random = np.random.default_rng(SEED)
    brightness, colours = random.normal(0, NOISE, (TILE, TILE, 1)), random.normal(0, NOISE / 3, (TILE, TILE, 3))
    return (brightness + colours).round().astype(np.int16)


def _details(folder: Path, rates: dict[str, float]) -> dict[str, float]:
    sizes = [file.stat().st_size for file in folder.iterdir()]
    return {
        "pictures": len(sizes),
        "megabytes of a file": sum(sizes) / len(sizes) / 1e6,
        "decoding alone": rates["decoding"],
        "model alone": rates["model"],
        "of decoding alone": rates["indexer"] / rates["decoding"],
    }
