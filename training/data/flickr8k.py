"""The forms in which Flickr8k's captions and splits are passed on.

    *.token.txt            NAME#N<TAB>caption                             its authors'
    captions.txt           image,caption                                  Kaggle's, comma form, quoted where needed
    captions.txt           image_name| comment_number| comment            Kaggle's, bar form
    dataset_flickr8k.json  {"images": [{filename, split, sentences}]}     A. Karpathy's

Every reader gives picture name -> captions, without the one misnamed picture (its name ends in ".jpg.1"; no list and
no folder has it).

Flickr8k in any of the forms it is passed on in, with its official splits, into the merged format.

Source: Hodosh, Young, Hockenmaier (2013), "Framing Image Description as a Ranking Task", JAIR 47. Karpathy's file
(Karpathy, Fei-Fei 2015, "Deep Visual-Semantic Alignments") has the same splits of 6000, 1000 and 1000.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from imagetext.pictures import read_picture_file
from imagetext.wire.errors import InvalidParameter
from training.data.admission import measure
from training.data.records import PICTURES, SPLITS, Record, bring_picture, refuse_repository, write_records
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


_KARPATHY = "dataset_flickr8k.json"


@dataclass(frozen=True)
class Flickr8k:
    """Where everything lies: the pictures' folder, name -> captions, split -> names."""

    pictures: Path
    captions: Captions
    splits: dict[str, list[str]]


def find_flickr8k(folder: Path, karpathy: Path | None = None) -> Flickr8k:
    """Find captions, splits and pictures in `folder` and the folders in it; `karpathy` names its file explicitly.

    Raises:
        InvalidParameter: one of the three is missing, or there twice, or broken.
    """
    karpathy = karpathy or _find(folder, _KARPATHY)
    text = _find(folder, "*.token.txt") or _find(folder, "captions.txt") or karpathy
    if text is None:
        raise InvalidParameter(f"{folder} holds no captions: Flickr8k.token.txt, captions.txt or {_KARPATHY}.")
    lists = {split: _find(folder, f"*{split}Images.txt") for split in SPLITS}
    found = {split: file.read_text(encoding="utf-8").split() for split, file in lists.items() if file}
    if not found and karpathy is None:
        raise InvalidParameter(f"{folder} says nothing of splits: Flickr_8k.trainImages.txt and so on, or {_KARPATHY}.")
    splits = found or read_karpathy_splits(karpathy) if karpathy else found
    names = [name for split in splits.values() for name in split]
    if len(set(names)) != len(names):
        raise InvalidParameter(f"{folder} lists a picture twice, or in two splits.")
    return Flickr8k(_pictures_folder(folder, names), read_caption_file(text), splits)


@dataclass(frozen=True)
class Origin:
    """What every record says of the set; others in the same layout, such as the drawn gallery, have another."""

    source: str = "flickr8k"
    licence: str = "research and education only; each picture belongs to its author on Flickr"

    def source_url(self, name: str) -> str:
        """The picture's page: names of Flickr8k begin with the number that Flickr gave the picture."""
        return f"https://www.flickr.com/photo.gne?id={name.partition('_')[0]}" if self == Origin() else ""


def import_flickr8k(
    found: Flickr8k, into: Path, origin: Origin = Origin(), *, copy: bool = False, allow_missing: bool = False
) -> list[Record]:
    """Write the merged format; the pictures are linked, or copied. Pictures in no split are left out.

    Raises:
        InvalidParameter: a listed picture has no caption or, unless `allow_missing`, no file; or git would take them.
        TooLarge, NotAPicture, InvalidPicture: a file is not a sound picture.
    """
    refuse_repository(into)
    listed = [(name, split) for split in SPLITS for name in found.splits.get(split, [])]
    present = [(name, split) for name, split in listed if (found.pictures / name).is_file()]
    if len(present) < len(listed) and not allow_missing:
        missing = next(name for name, _ in listed if not (found.pictures / name).is_file())
        raise InvalidParameter(
            f"{len(listed) - len(present)} listed pictures are not there, first {missing}; --allow-missing goes on."
        )
    without = [name for name, _ in present if name not in found.captions]
    if without:
        raise InvalidParameter(f"{len(without)} listed pictures have no caption, first {without[0]}.")
    records = _records(found, present, origin)
    for record in records:
        bring_picture(found.pictures / record.name, into / record.path, copy=copy)
    write_records(into, records)
    return records


def _records(found: Flickr8k, present: Sequence[tuple[str, str]], origin: Origin) -> list[Record]:
    def record(name: str, split: str) -> Record:
        return Record(
            path=f"{PICTURES}/{name}",
            captions=found.captions[name],
            split=split,
            source=origin.source,
            licence=origin.licence,
            source_url=origin.source_url(name),
            **asdict(measure(read_picture_file(found.pictures / name))),
        )

    with ThreadPoolExecutor() as pool:
        work = pool.map(lambda pair: record(*pair), present)
        return list(tqdm(work, total=len(present), desc="pictures", unit="picture", disable=None))


def _find(folder: Path, pattern: str) -> Path | None:
    """The one file with such a name in `folder` or a folder in it; the lemmas of the captions do not count."""
    paths = sorted({*folder.glob(pattern), *folder.glob(f"*/{pattern}")})
    found = [path for path in paths if not path.name.endswith(".lemma.token.txt")]
    if len(found) > 1:
        raise InvalidParameter(f"{folder} holds {len(found)} files named {pattern}, such as {found[0]} and {found[1]}.")
    return found[0] if found else None


def _pictures_folder(folder: Path, names: Sequence[str]) -> Path:
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if any((place / name).is_file() for name in names):
            return place
    raise InvalidParameter(f"None of the {len(names)} listed pictures lies in {folder} or a folder in it.")
