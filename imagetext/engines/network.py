"""An exported network on disk: an ONNX file, and inputs with torch's outputs to compare engines with.

pictures.onnx           what engines compute
pictures-int8.onnx      the same with its large matrices in int8, if that may help
pictures.json           sizes and rules, as `Network` has them
pictures.safetensors    the arrays of all cases, each stored once
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from imagetext.wire.errors import ModelError

Array = NDArray[Any]
# Arrays in, arrays out; later calls do not overwrite the outputs.
Run = Callable[..., Sequence[Array]]
Case = tuple[list[Array], list[Array]]  # inputs, and torch's outputs for them


@dataclass(frozen=True)
class Network:
    """An exported network.

    Attributes:
        name: such as "pictures" or "texts"; part of file names.
        folder: where its files are.
        free: for each input, the axes whose length varies between calls.
        tolerance: the largest error of its first output; None if only its direction counts.
        single: whether single examples are worth a compiled copy, which holds the weights once more.
    """

    name: str
    folder: Path
    free: tuple[tuple[int, ...], ...]
    tolerance: float | None = None
    single: bool = False

    @classmethod
    def open(cls, folder: Path, name: str) -> "Network":
        """Raises ModelError if the export is damaged."""
        try:
            facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            return cls(name, folder, tuple(map(tuple, facts["free"])), facts["tolerance"], facts["single"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"The exported network {folder / name} is damaged: delete its folder.") from error

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.onnx"

    @property
    def int8_file(self) -> Path | None:
        """None if int8 weights would not help."""
        file = self.folder / f"{self.name}-int8.onnx"
        return file if file.exists() else None

    @cached_property
    def cases(self) -> list[Case]:
        """Inputs with torch's outputs; the first is the usual one, which engines are timed on."""
        return read_cases(self.folder, self.name)

    @property
    def inputs(self) -> list[Array]:
        """The inputs of the usual case."""
        return self.cases[0][0]


def read_cases(folder: Path, name: str) -> list[Case]:
    """Raises ModelError where the export is damaged."""
    try:
        places = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cases"]
        arrays: dict[str, Array] = load_file(folder / f"{name}.safetensors")
        return [([arrays[each] for each in given], [arrays[each] for each in found]) for given, found in places]
    except Exception as error:  # safetensors raises its own exceptions
        raise ModelError(f"The exported network {folder / name} is damaged: delete its folder.") from error


def example_pictures(size: int) -> Array:
    """Prepared pictures (8, 3, size, size) in bytes to compare engines on; always the same ones.

    Two are noise; the others are smooth like even parts of photographs, where half precision is worst.
    """
    random = np.random.default_rng(0)
    pictures = [random.random((3, size, size)) for _ in range(2)]
    for across in (2, 4, 8):
        pictures += [_smooth(random.random((3, across, across)), size) for _ in range(2)]
    return (np.stack(pictures).clip(0, 1) * 255).astype(np.uint8)


def _smooth(coarse: Array, size: int) -> Array:
    """A few values (3, n, n) spread bilinearly over (3, size, size)."""
    steps = len(coarse[0]) - 1
    places = np.linspace(0, steps, size)
    low = np.minimum(places.astype(int), max(0, steps - 1))
    share = places - low
    rows = coarse[:, low] * (1 - share)[:, None] + coarse[:, low + 1] * share[:, None]
    spread: Array = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    return spread
