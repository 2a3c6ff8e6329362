"""Loads any encoder in torch, by folder or hub id, for export, training and comparison."""

import json
from pathlib import Path

from imagetext.models.encoder.clip import load_clip
from imagetext.models.encoder.dual import ARCHITECTURE, load_dual_encoder
from imagetext.models.encoder.scratch import ARCHITECTURE as SCRATCH
from imagetext.models.encoder.scratch import load_scratch_clip
from imagetext.models.encoder.towers import TwoTowers
from imagetext.models.folder import CONFIG, ModelFolder, require_source
from imagetext.wire.errors import ModelError


def load_in_torch(source: str | Path) -> TwoTowers:
    """Raises ModelError where nothing loadable is there."""
    require_source(source)
    architecture = _architecture(Path(source))
    if architecture is None:
        return load_clip(source)
    if architecture == ARCHITECTURE:
        return load_dual_encoder(ModelFolder.open(Path(source)))
    if architecture == SCRATCH:
        return load_scratch_clip(ModelFolder.open(Path(source)))
    raise ModelError(f"{source} holds no loadable encoder.")


def _architecture(path: Path) -> str | None:
    """The architecture named in a folder of this project; None for a folder that transformers wrote, or none at all."""
    if not (path / CONFIG).is_file():
        return None
    try:
        name = json.loads((path / CONFIG).read_text(encoding="utf-8")).get("architecture")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} has no readable {CONFIG}.") from error
    return None if name is None else str(name)
