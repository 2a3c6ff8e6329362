"""Operations on merged data sets: leak check, merging without a picture in two splits, statistics, and tar shards.

    DIR/train-000000.tar    000000000.jpg, 000000000.txt (captions, one a line), 000000000.json (the record), ...

Shards have the layout of webdataset and img2dataset, with the members in the order of the table.
"""

import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from statistics import fmean, median
from typing import Any

from tqdm import tqdm

from imagetext.pictures import read_picture_file
from imagetext.wire.errors import ImageTextError
from training.data.admission import near_pairs
from training.data.records import (
    SPLITS,
    Record,
    bring_picture,
    is_merged,
    read_records,
    refuse_repository,
    write_records,
)


@dataclass(frozen=True)
class Leak:
    """Two pictures of different splits with the same bytes (`identical`) or the same looks."""

    one: Record
    other: Record

    @property
    def identical(self) -> bool:
        return self.one.sha256 == self.other.sha256

    def __str__(self) -> str:
        kind = "identical" if self.identical else "near-duplicates"
        return f"{kind}: {self.one.path} ({self.one.split}) and {self.other.path} ({self.other.split})"


def find_leaks(records: Sequence[Record]) -> Iterator[Leak]:
    """Every pair of pictures that are the same to the eye and lie in different splits."""
    for earlier, later in near_pairs(tqdm(records, desc="comparing", unit="picture", disable=None)):
        if records[earlier].split != records[later].split:
            yield Leak(records[earlier], records[later])


def find_damage(folder: Path, records: Sequence[Record]) -> Iterator[str]:
    """A sentence for every picture whose file is missing or no longer has the bytes that the table names."""
    for record in tqdm(records, desc="reading", unit="picture", disable=None):
        try:
            data = read_picture_file(folder / record.path)
        except ImageTextError as error:
            yield f"{record.path}: {error.detail}"
            continue
        if hashlib.sha256(data).hexdigest() != record.sha256:
            yield f"{record.path}: the file has changed since it was recorded."


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


@dataclass(frozen=True)
class Statistics:
    """`words` are those between blanks, in lower case; `shorter_side` is in pixels."""

    splits: dict[str, int]
    captions: dict[str, int]
    captions_each: dict[str, float]
    words_each: dict[str, float]
    distinct_words: int
    shorter_side: dict[str, float]
    sources: dict[str, int]
    licences: dict[str, int]
    without_author: int
    without_address: int

    def to_dict(self) -> dict[str, Any]:
        return {"pictures": sum(self.splits.values()), **asdict(self)}

    def to_text(self) -> str:
        """A readable table."""
        lines = []
        for name, value in self.to_dict().items():
            if isinstance(value, dict):
                value = ", ".join(f"{key or 'unknown'} {_number(part)}" for key, part in value.items()) or "none"
            lines.append(f"{name.replace('_', ' '):<16} {value if isinstance(value, str) else _number(value)}")
        return "\n".join(lines) + "\n"


def statistics_of(records: Sequence[Record]) -> Statistics:
    words = [caption.lower().split() for record in records for caption in record.captions]
    captions = Counter(dict.fromkeys(SPLITS, 0))
    for record in records:
        captions[record.split] += len(record.captions)
    return Statistics(
        splits={split: sum(record.split == split for record in records) for split in SPLITS},
        captions=dict(captions),
        captions_each=_spread(len(record.captions) for record in records),
        words_each=_spread(len(caption) for caption in words),
        distinct_words=len({word for caption in words for word in caption}),
        shorter_side=_spread(min(record.width, record.height) for record in records),
        sources=dict(Counter(record.source for record in records).most_common()),
        licences=dict(Counter(record.licence for record in records).most_common()),
        without_author=sum(not record.author for record in records),
        without_address=sum(not record.source_url for record in records),
    )


def _spread(values: Iterable[int]) -> dict[str, float]:
    numbers = list(values)
    if not numbers:
        return {}
    return {"least": min(numbers), "median": median(numbers), "mean": round(fmean(numbers), 2), "most": max(numbers)}


def _number(value: float) -> str:
    return f"{value:,}"


PICTURES_EACH = 1_000


def write_shards(folder: Path, records: Sequence[Record], into: Path, each: int = PICTURES_EACH) -> list[Path]:
    """Write the pictures of `folder` to `into`, `each` in one file; every file is written whole or not at all.

    Raises:
        InvalidParameter: git would take the files.
    """
    refuse_repository(into)
    into.mkdir(parents=True, exist_ok=True)
    written = []
    with tqdm(total=len(records), desc="shards", unit="picture", disable=None) as bar:
        for split in SPLITS:
            chosen = [record for record in records if record.split == split]
            for number, start in enumerate(range(0, len(chosen), each)):
                path = into / f"{split}-{number:06}.tar"
                _write(path, folder, chosen[start : start + each], start)
                written.append(path)
                bar.update(len(chosen[start : start + each]))
    return written


def _write(path: Path, folder: Path, records: Sequence[Record], start: int) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    with tarfile.open(unfinished, "w") as tar:
        for number, record in enumerate(records, start):
            for suffix, data in _members(folder, record):
                member = tarfile.TarInfo(f"{number:09}{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    os.replace(unfinished, path)


def _members(folder: Path, record: Record) -> Iterator[tuple[str, bytes]]:
    yield PurePosixPath(record.path).suffix, (folder / record.path).read_bytes()
    yield ".txt", "\n".join(record.captions).encode()
    yield ".json", json.dumps(asdict(record), ensure_ascii=False).encode()
