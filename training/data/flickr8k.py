"""Flickr8k in any of the forms it is passed on in, with its official splits, into the merged format.

Source: Hodosh, Young, Hockenmaier (2013), "Framing Image Description as a Ranking Task", JAIR 47. Karpathy's file
(Karpathy, Fei-Fei 2015, "Deep Visual-Semantic Alignments") has the same splits of 6000, 1000 and 1000.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from imagetext.errors import InvalidParameter
from imagetext.pictures import read_picture_file
from training.data.caption_files import Captions, read_caption_file, read_karpathy_splits
from training.data.content import measure
from training.data.folder import write_records
from training.data.pictures import bring_picture, refuse_repository
from training.data.record import PICTURES, SPLITS, Record

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
