"""Pictures for both sides: the drawn gallery, in several sizes, as JPEG files."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from PIL import Image

from bench.row import Missing, Setting
from imagetext.pictures import open_picture

SCENES = 150
SEED = 4
SIDES = (320, 480, 640, 800, 1024, 1280, 1600)  # of the longer side, in pixels
QUALITIES = (75, 85, 92)


def scenes(setting: Setting) -> list[Path]:
    """The gallery's own files, drawn once. Raises Missing if it cannot be drawn."""
    folder = setting.folder("scenes")
    command = [sys.executable, "-m", "gallery", "--out", str(folder), "--number", str(SCENES), "--seed", str(SEED)]
    drawn = subprocess.run(command, capture_output=True, text=True, check=False)
    if drawn.returncode != 0:
        raise Missing(f"the gallery cannot be drawn: {drawn.stderr.strip()[-200:]}")
    return sorted((folder / "Images").glob("*.jpg"))


def opened(setting: Setting, number: int) -> list[Image.Image]:
    """Upright pictures in RGB."""
    return [open_picture(file) for file in islice(cycle(scenes(setting)), number)]


def folders(setting: Setting, number: int, each: int) -> list[Path]:
    """`number` folders with `each` different JPEGs, written once."""
    sources = scenes(setting)
    made = [setting.folder(f"jpegs/{each}-{place}") for place in range(number)]
    with ThreadPoolExecutor(setting.threads) as pool:
        for place, folder in enumerate(made):
            missing = range(place * each, (place + 1) * each) if len(list(folder.glob("*.jpg"))) < each else range(0)
            list(pool.map(partial(_write, sources, folder), missing))
    return made


def _write(sources: Sequence[Path], folder: Path, place: int) -> None:
    """Size and crop differ from file to file, so no two are equal."""
    with Image.open(sources[place % len(sources)]) as picture:
        cut = place // len(sources)
        part = picture.convert("RGB").crop((cut % 64, cut // 64, picture.width, picture.height))
    side = SIDES[place % len(SIDES)]
    scale = side / max(part.size)
    sized = part.resize((round(part.width * scale), round(part.height * scale)), Image.Resampling.BILINEAR)
    sized.save(folder / f"{place:06d}.jpg", quality=QUALITIES[place % len(QUALITIES)])
