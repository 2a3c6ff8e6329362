"""Captioned pictures on disk, in the layout of Flickr8k.

    DIR/Images/NAME.jpg
    DIR/*.token.txt                             lines of NAME.jpg#0<TAB>A sentence .
    DIR/*trainImages.txt, DIR/*devImages.txt    names

Source: Hodosh, Young, Hockenmaier (2013), "Framing Image Description as a Ranking Task", JAIR 47. The sample gallery
is written in the same layout, so one reader serves both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagetext.errors import InvalidParameter


@dataclass(frozen=True)
class CaptionedPicture:
    path: Path
    captions: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name


def read_split(folder: Path, split: str) -> list[CaptionedPicture]:
    """The pictures of one split ("train" or "dev") in the order of its list.

    Raises:
        InvalidParameter: a file is missing, or a listed picture has no caption.
    """
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


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise InvalidParameter(f"{folder} holds {len(found)} files named {pattern}; exactly one is needed.")
    return found[0]
