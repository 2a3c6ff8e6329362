"""Whether a picture that a model is measured with, or one that looks like it, was there to learn from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from imagetext.errors import ImageTextError
from imagetext.pictures import read_picture_file
from training.data.near import near_pairs
from training.data.record import Record


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
