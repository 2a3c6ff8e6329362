"""An encoder that sees the mean colour and reads colour names, a folder of pictures, and the service around them."""

import hashlib
import io
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from imagetext.index import EncoderRef, PictureRow, picture_id, publish, write_version
from imagetext.models.encoder.calibration import Labels
from imagetext.models.encoder.engine import EncodedPictures
from imagetext.wire.index import BuildProgress
from services.retrieval.app import create_app
from services.retrieval.settings import Settings
from tests.patience import PATIENCE

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0), "grey": (9, 9, 9)}


class ColourEncoder:
    """A vector is a colour. `hold` keeps the model until `release`."""

    name = "colours"
    dimensions = 3
    parameters = 9
    streams = 1
    decoded_side = 8

    def __init__(self, fingerprint: str = "colours-1", labels: Labels | None = None) -> None:
        self.fingerprint = fingerprint
        self.labels = labels  # names of colours
        self.batches: list[int] = []
        self.best: dict[str, int] = {}
        self.engines: dict[str, object] = {}
        self.held = threading.Event()
        self.released = threading.Event()
        self.released.set()

    def hold(self) -> None:
        self.held.clear()
        self.released.clear()

    def release(self) -> None:
        self.released.set()

    def best_batch(self, kind: str) -> int | None:
        return self.best.get(kind)

    def seconds_alone(self, kind: str) -> float:
        return math.inf

    def prepare(self, picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.resize((1, 1))).reshape(3)

    def encode_pictures(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        return self._encode(inputs)

    def encode_with_labels(self, inputs: Sequence[np.ndarray]) -> EncodedPictures:
        rows = self._encode(inputs)
        assert self.labels is not None
        names = self._encode([COLOURS[name] for name in self.labels.names])
        likely = np.exp(self.labels.scale * rows @ names.T)
        return EncodedPictures(rows, np.log(likely / likely.sum(1, keepdims=True)).astype(np.float32))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode([np.sum([COLOURS.get(word, (1, 1, 1)) for word in text.split()], 0) for text in texts])

    def relevance(self, query: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return (scores + 1) / 2

    def _encode(self, colours: Sequence[np.ndarray]) -> np.ndarray:
        self.batches.append(len(colours))
        self.held.set()
        assert self.released.wait(PATIENCE)
        vectors = np.stack(colours).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Album:
    """A folder of pictures and the index of them."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.index = folder / "index"
        self.images.mkdir()
        self.index.mkdir()

    def add(self, path: str, colour: str, size: tuple[int, int] = (40, 30), kind: str = "PNG", **options) -> str:
        """Writes a picture and returns its id."""
        file = self.images / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, COLOURS[colour]).save(file, kind, **options)
        return picture_id(path)

    def build(
        self, encoder: ColourEncoder, images_root: Path | None = None, known: dict[str, dict[str, object]] | None = None
    ) -> str:
        """Indexes all the pictures and publishes the version; `known` has fields of PictureRow by path."""
        version = self.write(encoder, images_root, known)
        publish(self.index, version)
        return version

    def write(
        self, encoder: ColourEncoder, images_root: Path | None = None, known: dict[str, dict[str, object]] | None = None
    ) -> str:
        """As `build`, but nobody knows of the version yet."""
        paths = sorted(path for path in self.images.rglob("*") if path.is_file())
        rows = [self._row(number, path) for number, path in enumerate(paths)]
        rows = [replace(row, **(known or {}).get(row.path, {})) for row in rows]
        return write_version(
            self.index,
            rows,
            encoder.encode_pictures([encoder.prepare(Image.open(path).convert("RGB")) for path in paths]),
            encoder=EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions),
            images_root=images_root or self.images,
        )

    def _row(self, number: int, path: Path) -> PictureRow:
        name, status = path.relative_to(self.images).as_posix(), path.stat()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        width, height = Image.open(path).size
        return PictureRow(number, picture_id(name), name, sha256, status.st_size, status.st_mtime_ns, width, height)


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def album(tmp_path: Path) -> Album:
    """Four pictures, not indexed yet."""
    album = Album(tmp_path)
    for path, colour in (("b/red.png", "red"), ("blue.png", "blue"), ("green.png", "green"), ("yellow.png", "yellow")):
        album.add(path, colour)
    return album


@pytest.fixture
def make_app(album: Album, encoder: ColourEncoder) -> Callable[..., FastAPI]:
    """The service on the album, with any setting changed; it looks for a new version at every hundredth second."""

    def make(**changes: object) -> FastAPI:
        settings = Settings(**{"index": album.index, "poll_s": 0.01, "deadline_s": PATIENCE} | changes)
        return create_app(settings, load=lambda source: encoder)

    return make


@pytest.fixture
def app(make_app: Callable[..., FastAPI], album: Album, encoder: ColourEncoder) -> FastAPI:
    """The service on the indexed album."""
    album.build(encoder)
    return make_app()


def _file(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """picture(colour, size) -> the bytes of a file."""
    return _file


@pytest.fixture
def progress() -> BuildProgress:
    """A build in the middle of its pictures."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return BuildProgress(stage="encoding", done=30, total=100, rate=10.0, eta_s=7.0, started=moment, updated=moment)
