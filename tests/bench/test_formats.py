"""The pictures of each format, and what is made of their rates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.rows.indexing import FORMATS, decoding, together, write
from imagetext.pictures import open_picture


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    """Two drawn pictures."""
    files = [tmp_path / f"scene{number}.jpg" for number in range(2)]
    for number, file in enumerate(files):
        Image.linear_gradient("L").resize((120, 90)).convert("RGB").rotate(180 * number).save(file)
    return files


@pytest.mark.parametrize("name", FORMATS)
def test_files_have_size_and_weight_of_photos(name: str, scenes: list[Path], tmp_path: Path) -> None:
    """All can be read; noise keeps them from being as small as drawings."""
    (tmp_path / "out").mkdir()

    write(scenes, tmp_path / "out", FORMATS[name], 0)

    (file,) = (tmp_path / "out").iterdir()
    assert open_picture(file).size == FORMATS[name].size
    width, height = FORMATS[name].size
    assert file.stat().st_size > 0.1 * width * height


def test_no_two_are_equal_and_each_is_the_same_again(scenes: list[Path], tmp_path: Path) -> None:
    """The indexer would encode equal files once."""
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        for place in (0, 1, 2):
            write(scenes, folder, FORMATS["jpeg-2mp"], place)

    first, second = (
        [file.read_bytes() for file in sorted((tmp_path / name).iterdir())] for name in ("first", "second")
    )
    assert first == second
    assert len(set(first)) == 3


class Encoder:
    """Takes the pixels as they are."""

    decoded_side = 64

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def prepare(self, picture: Image.Image) -> NDArray[Any]:
        self.seen.append(picture.size)
        return np.asarray(picture)


def test_decoding_is_timed_as_the_indexer_decodes(scenes: list[Path], tmp_path: Path) -> None:
    """Large JPEGs at a fraction of their size, every picture prepared for the model."""
    (tmp_path / "out").mkdir()
    for place in range(2):
        write(scenes, tmp_path / "out", FORMATS["jpeg-2mp"], place)
    encoder: Any = Encoder()

    assert decoding(tmp_path / "out", encoder) > 0
    assert encoder.seen == [(204, 153)] * 2


def test_what_decoding_and_the_model_allow_together() -> None:
    """Equally fast, each gets half of the time; a very fast one costs nearly nothing."""
    assert together(100, 100) == pytest.approx(50)
    assert together(100, 1e9) == pytest.approx(100)
