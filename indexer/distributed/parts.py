"""What a cluster hands over: parts of the work, each written by one task in one step, whoever dies.

<index>/work/shards/<encoder>/part-<shard>-<number>/
    vectors.npy     (encoded, dimensions) float32, unit rows
    rows.json       the pictures, what was skipped, and whose vectors these are

The folder must be the same for all machines of the cluster.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetext.files import replacing
from imagetext.index import SkippedFile
from imagetext.pictures import FileMetadata
from indexer.reading import ReadPicture
from indexer.scan import FoundFile

_NAME = re.compile(r"part-([0-9a-f]+)-(\d{5,})")
_VECTORS, _ROWS = "vectors.npy", "rows.json"


@dataclass(frozen=True)
class Part:
    """A stretch of a shard; with the `last` one the shard ends.

    `contents` are the sha256 of the pictures whose vectors are the rows of `vectors`, (encoded, dimensions). The vector
    of a picture that is not among them was known before.
    """

    shard: str
    number: int
    last: bool
    pictures: list[ReadPicture]
    skipped: list[SkippedFile]
    contents: list[str]
    vectors: NDArray[np.float32]


class PartFolder:
    """The parts of one encoder. May be pickled."""

    def __init__(self, index: Path, fingerprint: str) -> None:
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
        self._folder = Path(os.path.abspath(index)) / "work" / "shards" / name

    def write(self, part: Part) -> None:
        """The part appears at once and whole; one that is there already stays, as it says the same."""
        folder = self._path(part.shard, part.number)
        try:
            with replacing(folder, sync=True) as hidden:
                hidden.mkdir(parents=True)
                np.save(hidden / _VECTORS, part.vectors, allow_pickle=False)
                (hidden / _ROWS).write_text(_to_json(part), encoding="ascii")
        except OSError:
            if not folder.is_dir():
                raise

    def found(self) -> dict[str, set[int]]:
        """Shard -> the numbers of its parts that are there."""
        found: dict[str, set[int]] = {}
        for name in os.listdir(self._folder) if self._folder.is_dir() else ():
            if named := _NAME.fullmatch(name):
                found.setdefault(named[1], set()).add(int(named[2]))
        return found

    def clear(self) -> None:
        """Remove what killed tasks left half done. Only while no task runs."""
        for entry in self._folder.glob(".part-*"):
            shutil.rmtree(entry, ignore_errors=True)

    def read(self, shard: str, number: int) -> Part | None:
        """The part with its vectors memory-mapped; None, and it is gone, where it is missing or damaged."""
        folder = self._path(shard, number)
        try:
            fields = json.loads((folder / _ROWS).read_text("ascii"))
            part = _from_fields(shard, number, fields, np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False))
            if part.vectors.shape[0] != len(part.contents) or part.vectors.dtype != np.float32:
                raise ValueError("not a vector for each content")
            return part
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            shutil.rmtree(folder, ignore_errors=True)
            return None

    def parts_of(self, shard: str) -> Iterator[Part]:
        """From the first on, as far as they are there without a gap; the shard is complete if one is `last`."""
        number = 0
        while (part := self.read(shard, number)) is not None:
            yield part
            if part.last:
                return
            number += 1

    def is_complete(self, shard: str) -> bool:
        return any(part.last for part in self.parts_of(shard))

    def _path(self, shard: str, number: int) -> Path:
        return self._folder / f"part-{shard}-{number:05}"


def _to_json(part: Part) -> str:
    """ASCII: undecodable bytes in paths are lone surrogates in JSON's own escapes."""
    pictures = [_to_fields(picture) for picture in part.pictures]
    skipped = [[file.path, file.reason] for file in part.skipped]
    return json.dumps({"last": part.last, "pictures": pictures, "skipped": skipped, "contents": part.contents})


def _to_fields(picture: ReadPicture) -> list[Any]:
    taken = picture.metadata.taken
    metadata = [None if taken is None else taken.isoformat(), picture.metadata.tags]
    size = [picture.bytes, picture.width, picture.height]
    return [*astuple(picture.file), picture.sha256, *size, *metadata, picture.captions]


def _from_fields(shard: str, number: int, fields: dict[str, Any], vectors: NDArray[np.float32]) -> Part:
    pictures = [
        ReadPicture(FoundFile(path, size, time), sha256, length, width, height, _metadata(taken, tags), tuple(captions))
        for path, size, time, sha256, length, width, height, taken, tags, captions in fields["pictures"]
    ]
    skipped = [SkippedFile(path, reason) for path, reason in fields["skipped"]]
    return Part(shard, number, fields["last"], pictures, skipped, fields["contents"], vectors)


def _metadata(taken: str | None, tags: list[str]) -> FileMetadata:
    return FileMetadata(None if taken is None else datetime.fromisoformat(taken), tuple(tags))
