"""The encoders behind one interface: what they do, and which of them lies in a folder or behind a hub id."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.encoder.clip import load_clip
from imagetext.encoder.dual import ARCHITECTURE, load_dual_encoder
from imagetext.encoder.scratch import ARCHITECTURE as SCRATCH
from imagetext.encoder.scratch import load_scratch_clip
from imagetext.encoder.towers import Kind
from imagetext.engines import Engines
from imagetext.errors import ModelError
from imagetext.model_folder import CONFIG, ModelFolder, require_source


class Encoder(Protocol):
    """What the retrieval service and the indexer need of a model. Vectors are float32 unit rows (n, dimensions).

    `relevance` rises with the scores of one query."""

    name: str
    fingerprint: str
    dimensions: int
    parameters: int
    streams: int  # calls that may run at once

    @property
    def decoded_side(self) -> int: ...
    def run_in(self, engines: Engines) -> None: ...
    def best_batch(self, kind: Kind) -> int | None: ...
    def seconds_alone(self, kind: Kind) -> float: ...
    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]: ...
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]: ...
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
    def relevance(self, query: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]: ...


def load_encoder(source: str | Path, engines: Engines | None = None) -> Encoder:
    """One of this project's models by folder, or any CLIP by folder or hub id; without engines it runs in torch.

    Raises:
        ModelError: nothing loadable is there.
    """
    encoder = _load(source)
    if engines is not None:
        encoder.run_in(engines)
    return encoder


def _load(source: str | Path) -> Encoder:
    require_source(source)
    architecture = _architecture(Path(source))
    if architecture is None:
        return load_clip(source)
    if architecture == ARCHITECTURE:
        return load_dual_encoder(ModelFolder.open(Path(source)))
    if architecture == SCRATCH:
        return load_scratch_clip(ModelFolder.open(Path(source)))
    raise ModelError(f"{source} holds no encoder that can be loaded here.")


def _architecture(path: Path) -> str | None:
    """What a folder of this project calls itself; None where transformers wrote the folder, or there is none."""
    if not (path / CONFIG).is_file():
        return None
    try:
        name = json.loads((path / CONFIG).read_text(encoding="utf-8")).get("architecture")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} has no readable {CONFIG}.") from error
    return None if name is None else str(name)
