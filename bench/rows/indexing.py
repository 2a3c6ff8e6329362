"""A folder of JPEGs to vectors: our indexer, with all that it writes, against a DataLoader around the same model."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np

from bench.rivals.encoders import Network, in_float32, vectors_of
from bench.rounds import milliseconds
from bench.row import Contest, Floor, Setting
from bench.rows.embedding import CLIP, COMPACT, clip_folder
from bench.rows.pictures import folders, opened
from imagetext.engines import Engines
from imagetext.index import IndexReader, version_folder
from imagetext.models.encoder.dual import load_dual_encoder
from imagetext.models.encoder.engine import PICTURES, Encoder, load_encoder
from imagetext.models.folder import ModelFolder
from imagetext.pictures import open_picture, read_picture_file
from indexer.build import build
from indexer.encode import BATCH, STREAMS
from indexer.reading import THREADS

PARTS = 5  # folders, one for each round; together 5000 pictures
WARM_UP = 64  # pictures
CLIP_PICTURES = 2000  # of fewer the last batch, which one core encodes, is too large a part
BARE_S = 4  # long enough to meet the machine's slower moments, too
RIVAL_S = 15  # of a round; it would take minutes over all of a folder, at the same rate


@contextmanager
def indexing(setting: Setting) -> Iterator[Contest]:
    """Pictures a second; each round has a folder of its own, the same for both sides; ours indexes the whole of it."""
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
    """Pictures a second with a model that leaves time for reading, against that model on pictures that are ready."""
    engines = Engines(setting.engine_folder(CLIP), threads=setting.threads, streams=STREAMS)
    encoder = load_encoder(clip_folder(setting), engines)
    encoder.load(PICTURES)
    (pictures,) = folders(setting, 1, setting.sized(CLIP_PICTURES, 40))
    yield Contest(
        ours=lambda: indexing_rate(setting, pictures, encoder),
        rival=lambda: bare_model(setting, encoder, seconds=setting.sized(BARE_S, 0)).value,
        engine=f"pictures: {encoder.engines['pictures'].engine}, {encoder.streams} batches at once",
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
    """The model alone, on pictures that are ready, with every core; measured for so long, or as long as a turn."""
    batches = [[encoder.prepare(picture) for picture in opened(setting, BATCH)]] * encoder.streams
    with ThreadPoolExecutor(encoder.streams) as pool:
        took = milliseconds(lambda: list(pool.map(encoder.encode_pictures, batches)), seconds or setting.turn_s)
    rate = BATCH * encoder.streams / took * 1000
    return Floor(rate, f"the model alone on every core, {encoder.streams} batches of {BATCH} prepared pictures at once")


def _reading(folder: Path, encoder: Encoder) -> float:
    """Pictures a second that are read, decoded and prepared, with every core and no model beside."""

    def prepared(file: Path) -> object:
        return encoder.prepare(open_picture(read_picture_file(file), target=encoder.decoded_side))

    files = sorted(folder.glob("*.jpg"))
    with ThreadPoolExecutor(THREADS) as pool:
        start = time.perf_counter()
        list(pool.map(prepared, files))
        return len(files) / (time.perf_counter() - start)


def _shares(setting: Setting, folder: Path, encoder: Encoder, ours: float) -> dict[str, float]:
    """How much of the model's speed the indexer keeps: of all of it, and of what cores can do that read as well."""
    bare, reading = bare_model(setting, encoder).value, _reading(folder, encoder)
    attainable = 1 / (1 / bare + 1 / reading)
    return {"reading alone": reading, "of the bare model": ours / bare, "of model and reading": ours / attainable}


def _kept_by_one_core(setting: Setting, folder: Path) -> float:
    """How much of its speed on one core the model keeps where the rest is left to reading; 1 at best."""
    encoder = compact_encoder(setting, threads=1, streams=1)
    indexing_rate(setting, folder, encoder)  # to warm up
    return indexing_rate(setting, folder, encoder) / bare_model(setting, encoder).value


def _agreement(setting: Setting, pictures: Path, encoder: Encoder, network: Network) -> float:
    """The median cosine of both sides' vectors: the rival decodes and resizes in its own way."""
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
