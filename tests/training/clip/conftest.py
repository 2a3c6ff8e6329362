"""A data set that a tiny network can learn: pictures of two colours, in the layout of Flickr8k."""

from itertools import permutations
from pathlib import Path

import pytest
from PIL import Image

COLOURS = ("red", "green", "blue", "white", "black", "yellow")


def draw_colours(folder: Path, dev: int = 6) -> Path:
    """Thirty pictures, one colour above another, with two captions each; the last `dev` are the dev split."""
    (folder / "Images").mkdir(parents=True)
    names, lines = [], []
    for above, below in permutations(COLOURS, 2):
        name = f"{above}-{below}.png"
        picture = Image.new("RGB", (48, 40), above)
        picture.paste(below, (0, 20, 48, 40))
        picture.save(folder / "Images" / name)
        names.append(name)
        lines += [f"{name}#0\t{above} above {below}", f"{name}#1\t{below} is under {above}"]
    (folder / "captions.token.txt").write_text("\n".join(lines) + "\n")
    (folder / "colours.trainImages.txt").write_text("\n".join(names[:-dev]) + "\n")
    (folder / "colours.devImages.txt").write_text("\n".join(names[-dev:]) + "\n")
    return folder


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    return draw_colours(tmp_path / "colours")
