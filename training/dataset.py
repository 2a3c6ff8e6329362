"""Captioned pictures on disk, in the merged format (`training.data`) or in the layout of Flickr8k.

    DIR/Images/NAME.jpg
    DIR/pictures.parquet                        merged: everything about every picture
    DIR/*.token.txt                             Flickr8k: lines of NAME.jpg#0<TAB>A sentence .
    DIR/*trainImages.txt, DIR/*devImages.txt    names

Source: Hodosh, Young, Hockenmaier (2013), "Framing Image Description as a Ranking Task", JAIR 47. The sample gallery
is written in Flickr8k's layout, so one reader serves both. A folder that holds a table is read by its table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagetext.wire.errors import InvalidParameter
from training.data.records import SPLITS, is_merged, read_records


@dataclass(frozen=True)
class CaptionedPicture:
    path: Path
    captions: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name


def read_split(folder: Path, split: str) -> list[CaptionedPicture]:
    """The pictures of one split ("train", "dev" or "test") in the order of its list or table.

    Raises:
        InvalidParameter: a file is missing or damaged, a listed picture has no caption, or a table holds no picture of
            the split.
    """
    if is_merged(folder):
        return _read_merged(folder, split)
    captions = read_captions(_only(folder, "*.token.txt"))
    names = _only(folder, f"*{split}Images.txt").read_text().split()
    without = [name for name in names if name not in captions]
    if without:
        raise InvalidParameter(f"{len(without)} pictures of the {split} split have no caption, first {without[0]}.")
    return [CaptionedPicture(folder / "Images" / name, captions[name]) for name in names]


def read_captions(token_file: Path) -> dict[str, tuple[str, ...]]:
    """Picture name -> its captions in the order of their numbers.

    Flickr8k's one misnamed entry, which ends in ".jpg.1", is left out.
    """
    numbered: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(token_file.read_text(encoding="utf-8").splitlines(), 1):
        key, tab, caption = line.partition("\t")
        name, mark, order = key.partition("#")
        if not (tab and mark and order.isdigit()):
            raise InvalidParameter(f"Line {number} of {token_file.name} is not NAME#NUMBER<TAB>CAPTION.")
        if name.endswith(".jpg.1"):
            continue
        numbered.setdefault(name, []).append((int(order), caption))
    return {name: tuple(text for _, text in sorted(texts)) for name, texts in numbered.items()}


def read_splits(folders: Sequence[Path], split: str) -> list[CaptionedPicture]:
    return [picture for folder in folders for picture in read_split(folder, split)]


def _read_merged(folder: Path, split: str) -> list[CaptionedPicture]:
    if split not in SPLITS:
        raise InvalidParameter(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
    records = [record for record in read_records(folder) if record.split == split]
    if not records:
        raise InvalidParameter(f"{folder} holds no picture of the {split} split.")
    return [CaptionedPicture(folder / record.path, record.captions) for record in records]


def _only(folder: Path, pattern: str) -> Path:
    # Flickr8k's own folder also has the captions' lemmas, which nobody is to learn to write.
    found = sorted(path for path in folder.glob(pattern) if not path.name.endswith(".lemma.token.txt"))
    if len(found) != 1:
        raise InvalidParameter(f"{folder} holds {len(found)} files named {pattern}; exactly one is needed.")
    return found[0]
