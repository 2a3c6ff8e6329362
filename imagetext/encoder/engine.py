"""The encoders behind one interface: what they do, and which of them lies in a folder or behind a hub id."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.encoder.clip import load_clip
from imagetext.encoder.dual import ARCHITECTURE, load_dual_encoder
from imagetext.model_folder import CONFIG, ModelFolder, require_source


class Encoder(Protocol):
    """What the retrieval service and the indexer need of a model. Vectors are float32 unit rows (n, dimensions)."""

    name: str
    fingerprint: str
    dimensions: int
    parameters: int

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]: ...
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]: ...
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]: ...


def load_encoder(source: str | Path) -> Encoder:
    """This project's compact model by folder, or any CLIP by folder or hub id.

    Raises:
        ModelError: nothing loadable is there.
    """
    require_source(source)
    if (Path(source) / CONFIG).is_file():
        folder = ModelFolder.open(Path(source))
        if folder.config.get("architecture") == ARCHITECTURE:
            return load_dual_encoder(folder)
    return load_clip(source)
