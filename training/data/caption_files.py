"""The forms in which Flickr8k's captions and splits are passed on.

    *.token.txt            NAME#N<TAB>caption                             its authors'
    captions.txt           image,caption                                  Kaggle's, comma form, quoted where needed
    captions.txt           image_name| comment_number| comment            Kaggle's, bar form
    dataset_flickr8k.json  {"images": [{filename, split, sentences}]}     A. Karpathy's

Every reader gives picture name -> captions, without the one misnamed picture (its name ends in ".jpg.1"; no list and
no folder has it).
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagetext.errors import InvalidParameter
from training.dataset import read_captions

Captions = dict[str, tuple[str, ...]]

_KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "dev", "test": "test"}
# A widely copied file of the bar form lacks the second bar in one line: the number ends at the first blank, too.
_BAR_LINE = re.compile(r"(?P<name>[^|]+)\|\s*(?P<number>\d+)(?:\s*\||\s)\s*(?P<caption>.*\S)\s*")


@dataclass(frozen=True)
class _KarpathyImage:
    name: str
    split: str
    captions: list[str]


def read_caption_file(file: Path) -> Captions:
    """Captions in whichever form `file` has.

    Raises:
        InvalidParameter: it has none of the forms, or a line that does not fit its form.
    """
    return _form_of(file)(file)


def read_karpathy_splits(file: Path) -> dict[str, list[str]]:
    """Split -> picture names, with Karpathy's "val" as dev and his "restval" as train.

    Raises:
        InvalidParameter: the file is not in this form.
    """
    splits: dict[str, list[str]] = {split: [] for split in _KARPATHY_SPLITS.values()}
    for image in _karpathy_images(file):
        if image.split not in _KARPATHY_SPLITS:
            raise InvalidParameter(f"{file.name} has a picture of the unknown split {image.split!r}.")
        splits[_KARPATHY_SPLITS[image.split]].append(image.name)
    return splits


def _form_of(file: Path) -> Callable[[Path], Captions]:
    if file.suffix == ".json":
        return _read_karpathy
    with file.open(encoding="utf-8") as lines:
        first = lines.readline()
    if "|" in first:
        return _read_bars
    return read_captions if "\t" in first else _read_commas


def _read_commas(file: Path) -> Captions:
    captions: defaultdict[str, list[str]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        if next(rows, None) != ["image", "caption"]:
            raise InvalidParameter(f"{file.name} does not begin with the line image,caption.")
        for row in rows:
            if len(row) != 2:
                raise InvalidParameter(f"Line {rows.line_num} of {file.name} is not NAME,CAPTION.")
            captions[row[0]].append(row[1].strip())
    return _checked(captions)


def _read_bars(file: Path) -> Captions:
    numbered: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        parts = _BAR_LINE.fullmatch(line)
        if parts:
            numbered[parts["name"].strip()].append((int(parts["number"]), parts["caption"]))
        elif number > 1:  # the first is the header
            raise InvalidParameter(f"Line {number} of {file.name} is not NAME| NUMBER| CAPTION.")
    return _checked({name: [caption for _, caption in sorted(captions)] for name, captions in numbered.items()})


def _read_karpathy(file: Path) -> Captions:
    return _checked({image.name: image.captions for image in _karpathy_images(file)})


def _karpathy_images(file: Path) -> list[_KarpathyImage]:
    try:
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
        return [
            _KarpathyImage(
                str(image["filename"]), str(image["split"]), [str(sentence["raw"]) for sentence in image["sentences"]]
            )
            for image in images
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidParameter(f"{file} is not in the form of Karpathy's dataset_flickr8k.json.") from error


def _checked(captions: Mapping[str, list[str]]) -> Captions:
    return {
        name: tuple(caption.strip() for caption in texts)
        for name, texts in captions.items()
        if not name.endswith(".jpg.1")
    }
