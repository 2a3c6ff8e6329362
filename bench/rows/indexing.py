"""A folder of JPEGs to vectors: our indexer, with all that it writes, against a DataLoader around the same model."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
from torch import Tensor

from bench.rivals.data_loader import Network, vectors_of
from bench.rounds import milliseconds
from bench.row import Contest, Floor
from bench.rows.embedding import COMPACT
from bench.rows.pictures import folders, opened
from bench.setting import Setting
from imagetext.encoder.dual import DualEncoder, load_dual_encoder
from imagetext.index import IndexReader, version_folder
from imagetext.model_folder import ModelFolder
from indexer.build import build
from indexer.encode import BATCH

PARTS = 5  # folders, one for each round; together 5000 pictures
WARM_UP = 64  # pictures
RIVAL_S = 15  # of a round; it would take minutes over all of a folder, at the same rate


@contextmanager
def indexing(setting: Setting) -> Iterator[Contest]:
    """Pictures a second; each round has a folder of its own, the same for both sides; ours indexes the whole of it."""
    each = setting.sized(1000, 40)
    parts = [*folders(setting, 1, WARM_UP), *folders(setting, setting.sized(PARTS, 2), each)]
    ours, reference = _encoder(setting), load_dual_encoder(ModelFolder.open(COMPACT))
    ours_next, rival_next = cycle(parts), cycle(parts)

    def network(batch: Tensor) -> Tensor:
        rows: Tensor = reference.picture_head(reference.backbone.pooled(batch))
        return rows

    def rival() -> float:
        start = time.perf_counter()
        found = vectors_of(next(rival_next), reference.transform, network, seconds=RIVAL_S)
        return len(found) / (time.perf_counter() - start)

    yield Contest(
        ours=lambda: _indexed(setting, next(ours_next), ours),
        rival=rival,
        floor=lambda: _bare(setting, ours),
        engine=setting.chosen(COMPACT.name),
        details=lambda: {"pictures": PARTS * each, "cosine": _agreement(setting, parts[0], ours, network)},
    )


def _encoder(setting: Setting) -> DualEncoder:
    encoder = load_dual_encoder(ModelFolder.open(COMPACT))
    encoder.run_in(setting.engines(COMPACT.name))
    return encoder


def _indexed(setting: Setting, pictures: Path, encoder: DualEncoder) -> float:
    index = Path(tempfile.mkdtemp(dir=setting.folder("tmp")))
    try:
        start = time.perf_counter()
        summary = build(pictures, index, encoder)
        return summary.size / (time.perf_counter() - start)
    finally:
        shutil.rmtree(index)


def _bare(setting: Setting, encoder: DualEncoder) -> Floor:
    """The model alone, on pictures that are ready."""
    inputs = [encoder.prepare(picture) for picture in opened(setting, BATCH)]
    took = milliseconds(lambda: encoder.encode_pictures(inputs), setting.turn_s)
    return Floor(BATCH / took * 1000, f"the model alone, {BATCH} prepared pictures at a time")


def _agreement(setting: Setting, pictures: Path, encoder: DualEncoder, network: Network) -> float:
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
