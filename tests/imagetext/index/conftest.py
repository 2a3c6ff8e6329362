"""Small real index versions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from imagetext.index import EncoderRef, PictureRow, SkippedFile, picture_id, write_version

DIMENSIONS = 8


@dataclass
class SmallIndex:
    """Writes versions of made-up pictures below a folder."""

    folder: Path
    paths: list[str] = field(default_factory=lambda: ["a.jpg", "b/c.jpg", "b/ü \n.png", "z\udcff.gif", "zz.jpg"])
    skipped: list[SkippedFile] = field(default_factory=lambda: [SkippedFile("bad \udcfe\n.jpg", "It is bad.")])

    def vectors(self, seed: int = 0) -> np.ndarray:
        vectors = np.random.default_rng(seed).standard_normal((len(self.paths), DIMENSIONS)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def rows(self) -> list[PictureRow]:
        return [
            PictureRow(row, picture_id(path), path, f"{row:064x}", 1000 + row, 10**18 + row, 640, 480 + row)
            for row, path in enumerate(self.paths)
        ]

    def write(self, seed: int = 0) -> str:
        return write_version(
            self.folder,
            self.rows(),
            self.vectors(seed),
            encoder=EncoderRef("toy", "f00d", DIMENSIONS),
            images_root=Path("/pictures/\udcfc"),
            skipped=self.skipped,
        )

    def version_folder(self, version: str) -> Path:
        return self.folder / "versions" / version


@pytest.fixture
def index(tmp_path: Path) -> SmallIndex:
    return SmallIndex(tmp_path / "index \n é")


@pytest.fixture
def damage() -> Callable[[Path, int], None]:
    """damage(file, at) changes one byte of a file."""

    def change(file: Path, at: int) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 0x29
        file.write_bytes(content)

    return change
