"""Which encoder lies in a folder or behind a hub id, in torch: to export, train or compare it."""

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
