"""Several data sets into one, with no picture in two splits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from training.data.folder import is_merged, read_records, write_records
from training.data.near import near_pairs
from training.data.pictures import bring_picture, refuse_repository
from training.data.record import SPLITS, Record


@dataclass(frozen=True)
class Merge:
    """What became of the pictures of all folders."""

    records: list[Record]
    joined: int  # records of a picture that was there already; their captions went to it
    dropped: list[Record]  # looked like a picture of a split that is held further back


@dataclass(frozen=True)
class _Picture:
    record: Record
    file: Path


def merge(into: Path, folders: Sequence[Path], *, copy: bool = False) -> Merge:
    """Write the pictures of all folders to `into`; what `into` holds already comes first and stays.

    The same bytes become one record with the captions of all; it belongs to the split that is held furthest back (test,
    then dev). A picture that looks like one of a split further back is dropped. Near-duplicates within a split stay:
    their captions differ. A name that another picture has already gets part of the content's hash added.

    Raises:
        InvalidParameter: a folder is not in the merged format, or git would take the pictures.
    """
    refuse_repository(into)
    sources = ([into] if is_merged(into) else []) + [folder for folder in folders if folder.resolve() != into.resolve()]
    pictures = [_Picture(record, folder / record.path) for folder in sources for record in read_records(folder)]
    joined = _joined(pictures)
    kept, dropped = _without_leaks(joined)
    for picture in tqdm(kept, desc="pictures", unit="picture", disable=None):
        if picture.file != into / picture.record.path:
            bring_picture(picture.file, into / picture.record.path, copy=copy)
    write_records(into, [picture.record for picture in kept])
    return Merge([picture.record for picture in kept], len(pictures) - len(joined), [one.record for one in dropped])


def _joined(pictures: Sequence[_Picture]) -> list[_Picture]:
    """One for each content, under a path of its own."""
    by_content: dict[str, _Picture] = {}
    paths: set[str] = set()
    for picture in pictures:
        record = picture.record
        first = by_content.get(record.sha256)
        if first is None:
            path = _free_path(record, paths)
            paths.add(path)
            by_content[record.sha256] = replace(picture, record=replace(record, path=path))
        else:
            captions = tuple(dict.fromkeys((*first.record.captions, *record.captions)))
            split = max(first.record.split, record.split, key=SPLITS.index)
            both = replace(first.record, captions=captions, split=split)
            by_content[record.sha256] = replace(first, record=both)
    return list(by_content.values())


def _free_path(record: Record, taken: set[str]) -> str:
    if record.path not in taken:
        return record.path
    path = PurePosixPath(record.path)
    return str(path.with_name(f"{path.stem}-{record.sha256[:12]}{path.suffix}"))


def _without_leaks(pictures: Sequence[_Picture]) -> tuple[list[_Picture], list[_Picture]]:
    leaking = set(_less_held_back([picture.record for picture in pictures]))
    kept = [picture for position, picture in enumerate(pictures) if position not in leaking]
    return kept, [pictures[position] for position in sorted(leaking)]


def _less_held_back(records: Sequence[Record]) -> Iterator[int]:
    rank = [SPLITS.index(record.split) for record in records]
    for earlier, later in near_pairs(records):
        if rank[earlier] != rank[later]:
            yield earlier if rank[earlier] < rank[later] else later
