"""A compact model on disk.

    config.json          architecture, sizes, transform, and the packages of the base weights
    model.safetensors    the tensors that training changed or added: matrices in int8 with a scale per row, the rest in
                         half precision
    README.md            the model card
    other files          depending on the architecture, for instance vocabulary.txt

Full-size models are plain transformers folders and don't pass through here. `weights.py` reads and writes the tensors.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from imagetext.wire.errors import ModelError

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


class ModelFolder:
    """An existing model folder with its parsed config."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config

    @classmethod
    def open(cls, path: Path) -> "ModelFolder":
        """Raises ModelError if there is no folder with a readable config and weights."""
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} has no readable {CONFIG}.") from error
        folder = cls(path, config)
        folder.file(WEIGHTS)
        return folder

    def file(self, name: str) -> Path:
        file = self.path / name
        if not file.is_file():
            raise ModelError(f"{self.path} has no {name}.")
        return file

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all files that answers depend on: everything but the card."""
        digest = hashlib.sha256()
        for file in sorted(self.path.iterdir()):
            if file.is_file() and file.name != CARD:
                digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
        return digest.hexdigest()[:16]


def require_source(source: str | Path) -> None:
    """Check that a source exists or may be a hub id, so that the hub is not asked for a mistyped folder.

    Raises:
        ModelError: the source looks like a local folder and does not exist.
    """
    path = Path(source)
    is_hub_id = str(source).count("/") == 1 and str(source)[0] not in "/." and not path.parent.is_dir()
    if not path.exists() and not is_hub_id:
        raise ModelError(f"There is no model folder {source}.")
