"""A folder of pictures to vectors: our indexer, with everything it writes, against a DataLoader around the same model,
against CLIP alone, and for each file format against what decoding and the model allow.

The folders of the format rows have 300 different pictures each: scenes of the gallery, cropped and scaled, with noise
like a camera's, so that files are about as large as photos (a JPEG of 12 megapixels has 3 MB). Each round measures
three rates in pictures per second:

- the indexer with `models/retrieval`, with everything it writes;
- decoding alone: the same files read, decoded and resized with a thread per core, without a model;
- the model alone: prepared pictures in the indexer's batches, on all cores.

Decoding and the model need the same cores, so together they allow 1 / (1 / decoding + 1 / model). That is the rival's
value, and the ratio is the indexer's share of it. `details` has its share of decoding alone.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.rivals.encoders import Network, in_float32, vectors_of
from bench.row import Contest, Floor, Setting
from bench.rows.embedding import CLIP, COMPACT, clip_folder
from bench.rows.pictures import folders, opened, scenes
from bench.timing import milliseconds
from imagetext.engines import Engines
from imagetext.index import IndexReader, version_folder
from imagetext.machine import usable_cores
from imagetext.models.encoder.dual import load_dual_encoder
from imagetext.models.encoder.engine import PICTURES, Encoder, load_encoder
from imagetext.models.folder import ModelFolder
from imagetext.pictures import open_picture, read_picture_file
from indexer.build import build
from indexer.encode import BATCH, STREAMS
from indexer.reading import THREADS

PARTS = 5  # folders, one for each round; together 5000 pictures
WARM_UP = 64  # pictures
CLIP_PICTURES = 2000  # with fewer, the last batch, which one core encodes, would weigh too much
BARE_S = 4  # long enough to include the machine's slower moments
RIVAL_S = 15  # per round; a whole folder would take minutes, at the same rate
FORMAT_PICTURES = 300
SEED = 6
NOISE = 6.0  # standard deviation of the brightness, of 255; that of each colour is a third
TILE = 1024  # pixels; noise is drawn once at this size and shifted for each picture


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
def indexing(setting: Setting) -> Iterator[Contest]:
    """Pictures per second; each round uses another folder, the same for both sides. Ours indexes all of it."""
    each = setting.sized(1000, 40)
    rates = list[float]()
    parts = [*folders(setting, 1, WARM_UP), *folders(setting, setting.sized(PARTS, 2), each)]
    ours, reference = compact_encoder(setting), load_dual_encoder(ModelFolder.open(COMPACT))
    plain = in_float32(reference)
    ours_next, rival_next = cycle(parts), cycle(parts)

    def rival() -> float:
        start = time.perf_counter()
        found = vectors_of(next(rival_next), plain.transform, plain.picture_network.rows, seconds=RIVAL_S)
        return len(found) / (time.perf_counter() - start)

    def indexed() -> float:
        rates.append(indexing_rate(setting, next(ours_next), ours))
        return rates[-1]

    yield Contest(
        ours=indexed,
        rival=rival,
        floor=lambda: bare_model(setting, ours),
        engine=f"pictures: {ours.engines['pictures'].engine}, {ours.streams} batches at once",
        details=lambda: {
            "pictures": each * (len(parts) - 1),
            "cosine": _agreement(setting, parts[0], ours, reference.picture_network.rows),
            **_shares(setting, parts[1], ours, median(rates[1:])),
            "of the model with a core": _kept_by_one_core(setting, parts[1]),
        },
    )


@contextmanager
def indexing_with_clip(setting: Setting) -> Iterator[Contest]:
    """Pictures per second with a model slow enough to hide reading, against that model on prepared pictures."""
    engines = Engines(setting.engine_folder(CLIP), threads=setting.threads, streams=STREAMS)
    encoder = load_encoder(clip_folder(setting), engines)
    encoder.load(PICTURES)
    (pictures,) = folders(setting, 1, setting.sized(CLIP_PICTURES, 40))
    yield Contest(
        ours=lambda: indexing_rate(setting, pictures, encoder),
        rival=lambda: bare_model(setting, encoder, seconds=setting.sized(BARE_S, 0)).value,
        engine=f"pictures: {encoder.engines['pictures'].engine}, {encoder.streams} batches at once",
    )


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


def compact_encoder(setting: Setting, *, threads: int | None = None, streams: int = STREAMS) -> Encoder:
    engines = Engines(setting.engine_folder(COMPACT.name), threads=threads or setting.threads, streams=streams)
    encoder = load_encoder(COMPACT, engines)
    encoder.load(PICTURES)
    return encoder


def indexing_rate(setting: Setting, pictures: Path, encoder: Encoder) -> float:
    index = Path(tempfile.mkdtemp(dir=setting.folder("tmp")))
    try:
        start = time.perf_counter()
        summary = build(pictures, index, encoder)
        return summary.size / (time.perf_counter() - start)
    finally:
        shutil.rmtree(index)


def bare_model(setting: Setting, encoder: Encoder, *, seconds: float = 0) -> Floor:
    """The model alone on prepared pictures and all cores, measured for `seconds` or the time of one measurement."""
    batches = [[encoder.prepare(picture) for picture in opened(setting, BATCH)]] * encoder.streams
    with ThreadPoolExecutor(encoder.streams) as pool:
        took = milliseconds(lambda: list(pool.map(encoder.encode_pictures, batches)), seconds or setting.turn_s)
    rate = BATCH * encoder.streams / took * 1000
    return Floor(rate, f"the model alone on every core, {encoder.streams} batches of {BATCH} prepared pictures at once")


def together(decoding: float, model: float) -> float:
    """The rate of two tasks that share the cores, from the rate of each alone."""
    return 1 / (1 / decoding + 1 / model)


def decoding(folder: Path, encoder: Encoder, threads: int | None = None) -> float:
    """Pictures per second read, decoded and resized for the model, by default with a thread per core."""

    def prepared(file: Path) -> object:
        return encoder.prepare(open_picture(read_picture_file(file), target=encoder.decoded_side))

    files = sorted(folder.iterdir())
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        start = time.perf_counter()
        list(pool.map(prepared, files))
        return len(files) / (time.perf_counter() - start)


def _shares(setting: Setting, folder: Path, encoder: Encoder, ours: float) -> dict[str, float]:
    """The indexer's share of the model's speed, and of what reading and the model together allow."""
    bare, reading = bare_model(setting, encoder).value, decoding(folder, encoder, THREADS)
    return {
        "reading alone": reading,
        "of the bare model": ours / bare,
        "of model and reading": ours / together(reading, bare),
    }


def _kept_by_one_core(setting: Setting, folder: Path) -> float:
    """The share of its one-core speed that the model keeps while the other cores read; 1 at best."""
    encoder = compact_encoder(setting, threads=1, streams=1)
    indexing_rate(setting, folder, encoder)  # to warm up
    return indexing_rate(setting, folder, encoder) / bare_model(setting, encoder).value


def _agreement(setting: Setting, pictures: Path, encoder: Encoder, network: Network) -> float:
    """The median cosine of both sides' vectors; the rival decodes and resizes differently."""
    sample = Path(tempfile.mkdtemp(dir=setting.folder("tmp")))
    try:
        for file in sorted(pictures.glob("*.jpg"))[:BATCH]:
            (sample / file.name).symlink_to(file.absolute())
        theirs = vectors_of(sample, encoder.transform, network)
        summary = build(sample, sample / "index", encoder)
        reader = IndexReader.open(version_folder(sample / "index", summary.version))
        mine = np.stack([reader.vector(row) for row in range(summary.size)])
        reader.close()
        return float(np.median((mine * theirs).sum(1)))
    finally:
        shutil.rmtree(sample)


def folder_of(setting: Setting, name: str) -> Path:
    """The pictures of a format, written once."""
    number = setting.sized(FORMAT_PICTURES, 32)
    folder, written = setting.folder(f"formats/{name}-{number}"), setting.cache / f"formats/{name}-{number}.written"
    if not written.exists():
        draw = partial(write, scenes(setting), folder, FORMATS[name])
        with ThreadPoolExecutor(setting.threads) as pool:
            list(pool.map(draw, range(number)))
        written.touch()
    return folder


def write(sources: Sequence[Path], folder: Path, target: Format, place: int) -> None:
    """One picture: always the same for the same place, different from all others."""
    random = np.random.default_rng((SEED, place))
    with Image.open(sources[place % len(sources)]) as scene:
        left, top = random.integers(0, 16, 2).tolist()
        cut = scene.convert("RGB").crop((left, top, scene.width - 16 + left, scene.height - 16 + top))
    pixels = np.asarray(cut.resize(target.size, Image.Resampling.BICUBIC), dtype=np.int16)
    height, width, _ = pixels.shape
    down, right = random.integers(0, TILE, 2).tolist()
    noise = np.tile(_noise(), (height // TILE + 2, width // TILE + 2, 1))[down : down + height, right : right + width]
    noisy = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    noisy.save(folder / f"{place:06d}{target.suffix}", **target.options)


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
