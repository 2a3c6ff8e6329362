"""Parts of a cluster's work, each written atomically by one task, and their merge.

<index>/work/shards/<encoder>/part-<shard>-<number>/
    vectors.npy     (encoded, dimensions) float32, unit rows
    rows.json       the pictures, the skipped files, and the contents to which the vectors belong

All machines of the cluster must see the same folder.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagetext.files import replacing
from imagetext.index import SkippedFile
from imagetext.pictures import FileMetadata
from imagetext.wire.errors import Unavailable
from indexer.encode import Encoding
from indexer.known import KnownVectors
from indexer.reading import ReadPicture
from indexer.sources import FoundFile

_NAME = re.compile(r"part-([0-9a-f]+)-(\d{5,})")
_VECTORS, _ROWS = "vectors.npy", "rows.json"
_OPEN = 16  # parts whose vectors are mapped at a time


@dataclass(frozen=True)
class Part:
    """A stretch of a shard; the shard ends with the `last` one.

    `contents` are the sha256 of the pictures whose vectors are the rows of `vectors`, (encoded, dimensions). Those of
    other pictures were known before.
    """

    shard: str
    number: int
    last: bool
    pictures: list[ReadPicture]
    skipped: list[SkippedFile]
    contents: list[str]
    vectors: NDArray[np.float32]


class PartFolder:
    """The parts of one encoder. Can be pickled."""

    def __init__(self, index: Path, fingerprint: str) -> None:
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
        self._folder = Path(os.path.abspath(index)) / "work" / "shards" / name

    def write(self, part: Part) -> None:
        """The part appears complete and at once; one that exists stays, as it has the same content."""
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
        """Shard -> the numbers of its parts."""
        found: dict[str, set[int]] = {}
        for name in os.listdir(self._folder) if self._folder.is_dir() else ():
            if named := _NAME.fullmatch(name):
                found.setdefault(named[1], set()).add(int(named[2]))
        return found

    def clear(self) -> None:
        """Remove unfinished parts of killed tasks. Only while no task runs."""
        for entry in self._folder.glob(".part-*"):
            shutil.rmtree(entry, ignore_errors=True)

    def read(self, shard: str, number: int) -> Part | None:
        """The part with its vectors memory-mapped; None if it is missing or damaged, and then it is removed."""
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
        """From the first one up to the first gap; the shard is complete if one is `last`."""
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


class PartVectors:
    """Vectors by content; the first of equal pictures counts."""

    def __init__(self, folder: PartFolder) -> None:
        self._folder = folder
        self._parts: list[tuple[str, int]] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._open = lru_cache(_OPEN)(self._read)

    def add(self, part: Part) -> None:
        for row, sha256 in enumerate(part.contents):
            self._places.setdefault(sha256, (len(self._parts), row))
        self._parts.append((part.shard, part.number))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._places

    def vector(self, sha256: str) -> NDArray[np.float32]:
        part, row = self._places[sha256]
        return self._open(part)[row]  # type: ignore[no-any-return]  # a row of float32

    def _read(self, part: int) -> NDArray[np.float32]:
        read = self._folder.read(*self._parts[part])
        if read is None:
            raise _missing()
        return read.vectors


def merge(shards: Iterable[str], folder: PartFolder, known: KnownVectors) -> Encoding:
    """Everything that was read of the shards; their vectors join the known ones.

    Raises:
        Unavailable: a part is missing.
    """
    merged, vectors = Encoding(), PartVectors(folder)
    for shard in shards:
        complete = False
        for part in folder.parts_of(shard):
            vectors.add(part)
            merged.pictures += [_with_size(picture, known) for picture in part.pictures]
            merged.skipped += part.skipped
            complete = part.last
        if not complete:
            raise _missing()
    known.join(vectors)
    return merged


def _with_size(picture: ReadPicture, known: KnownVectors) -> ReadPicture:
    """Tasks do not know the size of a picture that they did not decode."""
    if picture.width:
        return picture
    width, height = known.size(picture.sha256) or (0, 0)
    return replace(picture, width=width, height=height)


def _missing() -> Unavailable:
    return Unavailable("Parts of the work are missing. Run the same command again to redo them.")


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
