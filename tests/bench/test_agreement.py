"""Engines against torch on photos: what is counted, and when it fails."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.agreement import PhotoSet, main
from imagetext.engines import Engines, Loaded
from imagetext.models.captioner.engine import DecodedCaption, DecodingOptions
from imagetext.wire.errors import NotFound

NAMES = [f"photo{number}.jpg" for number in range(4)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos of the dev split, each with two sentences, and one that is not of it."""
    (tmp_path / "Images").mkdir()
    for number, name in enumerate([*NAMES, "other.jpg"]):
        Image.new("RGB", (40, 30), (60 * number, 10, 10)).save(tmp_path / "Images" / name)
    (tmp_path / "Flickr_8k.devImages.txt").write_text("".join(f"{name}\n" for name in NAMES))
    lines = [f"{name}#{place}\tsentence {place} of {name}\n" for name in [*NAMES, "other.jpg"] for place in range(2)]
    (tmp_path / "Flickr8k.token.txt").write_text("".join(lines))
    return tmp_path


class Model:
    """Captions with the redness of a picture, and makes vectors of it; off by `error` in the darkest pictures."""

    decoded_side = 8

    def __init__(self, error: float) -> None:
        self.error = error
        self.engines = {"seeing": Loaded(lambda *given: given, "quick")}

    def prepare(self, picture: Image.Image) -> np.ndarray:
        return np.asarray(picture, dtype=np.uint8)[0, 0]

    def caption(self, inputs: list[np.ndarray], options: DecodingOptions) -> list[list[DecodedCaption]]:
        redness = [float(pixel[0]) + (self.error if pixel[0] < 30 else 0) for pixel in inputs]
        return [[DecodedCaption(f"{red:.0f} with {options.num_beams} beams", -1.0, ())] for red in redness]

    def encode_pictures(self, inputs: list[np.ndarray]) -> np.ndarray:
        angles = np.array([pixel[0] / 255 + (self.error if pixel[0] < 30 else 0) for pixel in inputs])
        return np.stack([np.cos(angles), np.sin(angles)], 1)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        return np.stack([np.array([1.0, 0.0]) for _ in texts])


def models(error: float) -> Callable[[str, Engines | None], Any]:
    return lambda source, engines: Model(0.0 if engines is None else error)


def compared(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("error", "status", "equal"), [(0.0, 0, 1.0), (1.0, 1, 0.75)])
def test_captions(photos: Path, capsys: pytest.CaptureFixture[str], error: float, status: int, equal: float) -> None:
    """The share of equal sentences; below 98 % the status is 1, and the report shows what differs."""
    arguments = ["captions", "--model", "m", "--photos", str(photos), "--beams", "5"]

    assert main(arguments, load=models(error)) == status

    report = compared(capsys)
    assert report["engines"] == {"seeing": "quick"}
    assert report["compared"]["captions"]["equal"] == equal
    assert report["compared"]["captions"]["pictures"] == 4
    shown = report["compared"]["captions"]["differing"]
    assert [one["picture"] for one in shown] == NAMES[: len(shown)]
    assert all(one["torch"] != one["ours"] for one in shown)
    assert len(shown) == 4 * (1 - equal)


@pytest.mark.parametrize(("error", "status"), [(0.0, 0), (0.02, 0), (0.1, 1)])
def test_vectors(photos: Path, capsys: pytest.CaptureFixture[str], error: float, status: int) -> None:
    """One vector that points elsewhere is enough to fail, however good the mean is."""
    assert main(["vectors", "--model", "m", "--photos", str(photos)], load=models(error)) == status

    report = compared(capsys)["compared"]
    assert report["pictures"]["lowest"] == pytest.approx(np.cos(error), abs=1e-6)
    assert report["pictures"]["mean"] == pytest.approx((3 + np.cos(error)) / 4, abs=1e-6)
    assert (report["texts"]["number"], report["texts"]["met"]) == (8, True)


def test_a_part_of_the_photos(photos: Path) -> None:
    """A run can go on where another ended; the sentences are those of its photos."""
    part = PhotoSet.read(photos, 1, 2)

    assert [file.name for file in part.files] == NAMES[1:3]
    assert part.texts == [f"sentence {place} of {name}" for name in NAMES[1:3] for place in range(2)]
    with pytest.raises(NotFound, match="number 4"):
        PhotoSet.read(photos, 4, 2)


def test_a_folder_of_another_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named in a sentence."""
    assert main(["captions", "--model", "m", "--photos", str(tmp_path)], load=models(0)) == 1
    assert "not in the layout of Flickr8k" in capsys.readouterr().err
