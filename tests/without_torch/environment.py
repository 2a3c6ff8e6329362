"""Processes as they are where neither torch nor transformers is installed."""

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]


def without_torch(**more: str | Path) -> dict[str, str]:
    """The environment of such a process and of those that it starts."""
    path = f"{FOLDER}{os.pathsep}{ROOT}"
    return os.environ | {"PYTHONPATH": path} | {name: str(value) for name, value in more.items()}
