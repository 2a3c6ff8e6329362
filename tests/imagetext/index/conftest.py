"""Small real index versions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from imagetext.index import EncoderRef, IndexOptions, PictureRow, SkippedFile, picture_id, version_folder, write_version

DIMENSIONS = 8
CLUSTERED, CLUSTERS, INNER = 32, 60, 6  # dimensions, and what the vectors of write_clusters vary in


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


def clusters(size: int, seed: int = 0) -> np.ndarray:
    """Unit vectors (size, CLUSTERED) near one surface of few dimensions for all seeds, as embeddings are."""
    surface = np.random.default_rng(99)
    centres, basis = surface.standard_normal((CLUSTERS, INNER)), surface.standard_normal((INNER, CLUSTERED))
    random = np.random.default_rng(seed)
    inner = centres[random.integers(0, CLUSTERS, size)] + 0.4 * random.standard_normal((size, INNER))
    vectors = inner @ basis + 0.05 * random.standard_normal((size, CLUSTERED))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_clusters(index: Path, vectors: np.ndarray | None = None, **options: object) -> Path:
    """The folder of a new version of 4000 vectors, or of those given."""
    vectors = clusters(4_000) if vectors is None else vectors
    rows = [PictureRow(i, picture_id(f"{i}"), f"{i:05}.jpg", f"{i:064x}", 1, 1, 1, 1) for i in range(len(vectors))]
    version = write_version(
        index,
        rows,
        vectors,
        encoder=EncoderRef("toy", "f00d", vectors.shape[1]),
        images_root=Path("/pictures"),
        skipped=[SkippedFile("bad.jpg", "It is bad.")],
        options=IndexOptions(**options),
    )
    return version_folder(index, version)


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
