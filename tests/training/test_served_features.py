"""Features of served networks, kept in files that an interruption does not spoil."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imagetext.models.transform import PictureTransform
from training.dataset import CaptionedPicture
from training.served_features import CHUNK, picture_features

PICTURES = CHUNK + 40


@pytest.fixture
def pictures(tmp_path: Path) -> list[CaptionedPicture]:
    """Each of another grey."""
    found = []
    for number in range(PICTURES):
        path = tmp_path / f"{number:03}.png"
        Image.new("L", (4, 4), number % 256).save(path)
        found.append(CaptionedPicture(path, ()))
    return found


class Encoder(SimpleNamespace):
    """What is asked of one: its picture network gives the mean of each picture twice."""

    def __init__(self) -> None:
        backbone = torch.nn.Identity()
        backbone.channels = 2  # type: ignore[assignment]
        super().__init__(fingerprint="f", transform=PictureTransform(size=4), backbone=backbone)


def test_an_interrupted_file_goes_on(
    pictures: list[CaptionedPicture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is not done again, and the rows are those of an undisturbed run."""
    seen: list[int] = []
    stop_after = CHUNK + 8

    def start(*_: Any) -> Any:
        def run(batch: np.ndarray) -> list[np.ndarray]:
            if sum(seen) >= stop_after:
                raise KeyboardInterrupt
            seen.append(len(batch) // 2)
            means = batch.reshape(len(batch), -1).mean(1)
            return [np.stack([means, means], 1)]

        return run

    monkeypatch.setattr("training.served_features._picture_run", start)
    encoder: Any = Encoder()

    with pytest.raises(KeyboardInterrupt):
        picture_features(encoder, pictures, 2, tmp_path / "cache")
    seen.clear()
    rows = picture_features(encoder, pictures, 2, tmp_path / "cache")
    again = picture_features(encoder, pictures, 2, tmp_path / "cache")

    assert sum(seen) == PICTURES - CHUNK
    assert rows.shape == (PICTURES, 2, 2)
    assert np.array_equal(rows[:, 0, 0], np.arange(PICTURES) % 256)
    assert np.array_equal(rows, again)
