"""A captioner that names the colour of a picture, and the service around it."""

import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from imagetext.models.captioner.engine import DecodedCaption, DecodedWord, DecodingOptions
from services.caption.app import create_app
from services.caption.settings import Settings

COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250), "grey": (128, 128, 128)}
PATIENCE = 60.0


class ColourCaptioner:
    """Captions a picture with its colour. `poison` is a colour that makes a batch fail; `hold` keeps the model."""

    parameters = 3
    best_batch: int | None = None
    decoded_side = 8

    def __init__(self, name: str) -> None:
        self.name = name
        self.fingerprint = f"{name}-1"
        self.batches: list[tuple[list[str], DecodingOptions]] = []
        self.engines: dict[str, object] = {}
        self.poison: str | None = None
        self.deadly: str | None = None
        self.held = threading.Event()
        self.released = threading.Event()
        self.released.set()

    def hold(self) -> None:
        self.held.clear()
        self.released.clear()

    def release(self) -> None:
        self.released.set()

    def prepare(self, picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.resize((1, 1))).reshape(3).astype(np.int16)

    def caption(self, inputs: list[np.ndarray], options: DecodingOptions) -> list[list[DecodedCaption]]:
        colours = [min(COLOURS, key=lambda name: abs(each - COLOURS[name]).sum()) for each in inputs]
        self.batches.append((colours, options))
        self.held.set()
        assert self.released.wait(PATIENCE)
        if self.poison in colours:
            raise RuntimeError("the secret is hunter2")
        if self.deadly in colours:
            raise SystemExit
        return [[_decoded(colour, place, options) for place in range(options.num_captions)] for colour in colours]


def _decoded(colour: str, place: int, options: DecodingOptions) -> DecodedCaption:
    grid = [[0.25, 0.25], [0.25, 0.25]] if options.attention else None
    words = tuple(DecodedWord(word, grid) for word in ("something", colour))
    return DecodedCaption(f"something {colour}", -0.5 - place, words)


@pytest.fixture
def captioners() -> dict[str, ColourCaptioner]:
    return {"gru": ColourCaptioner("gru"), "vit": ColourCaptioner("vit")}


@pytest.fixture
def captioner(captioners: dict[str, ColourCaptioner]) -> ColourCaptioner:
    return captioners["gru"]


@pytest.fixture
def make_app(captioners: dict[str, ColourCaptioner]) -> Callable[..., FastAPI]:
    """The service with both captioners, "gru" the default, and any setting changed."""

    def make(**changes: object) -> FastAPI:
        settings = Settings(**{"models": ("gru", "vit")} | changes)
        return create_app(settings, load=lambda source: captioners[source])

    return make


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app()


def _file(colour: str, size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(file, kind)
    return file.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """picture(colour, size, kind) -> the bytes of a file."""
    return _file
