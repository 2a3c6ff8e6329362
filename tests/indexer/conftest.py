"""Folders of small pictures, and encoders that encode them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagetext.index import IndexReader, current_version, version_folder
from tests.indexer.build_process import BuildProcess
from tests.indexer.fake_encoder import FakeEncoder


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def start(images: Path, index: Path) -> Iterator[Callable[..., BuildProcess]]:
    """start(into, free=…, pause=…) starts a build in a process, which does not outlive the test."""
    started: list[BuildProcess] = []

    def begin(into: Path = index, free: int | None = None, pause: float = 0.0) -> BuildProcess:
        started.append(BuildProcess(images, into, free, pause))
        return started[-1]

    yield begin
    for build in started:
        if not build.has_ended():
            build.kill()


def draw(path: Path, seed: int, size: tuple[int, int] = (16, 12)) -> None:
    """A picture that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(4, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


@pytest.fixture
def draw_many(images: Path) -> Callable[[int], None]:
    """draw_many(number) fills the folder with pictures in several folders."""

    def fill(number: int) -> None:
        for seed in range(number):
            draw(images / f"{seed % 7}" / f"{seed:04}.png", seed)

    return fill


def open_current(index: Path) -> IndexReader:
    version = current_version(index)
    assert version is not None
    return IndexReader.open(version_folder(index, version), verify=True)


def content_of(index: Path) -> dict[str, tuple[str, bytes]]:
    """What an index says, whatever its version is called: path -> content hash and vector."""
    reader = open_current(index)
    content = {row.path: (row.sha256, reader.vector(row.row).tobytes()) for row in reader.rows()}
    reader.close()
    return content
