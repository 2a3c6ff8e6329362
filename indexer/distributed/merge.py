"""Parts to what an ordinary build has after encoding: pictures, skipped files, and vectors by content."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from imagetext.errors import Unavailable
from indexer.distributed.parts import Part, PartFolder
from indexer.encode import Encoding
from indexer.known import KnownVectors
from indexer.reading import ReadPicture

_OPEN = 16


class PartVectors:
    """Vectors by content; of two equal pictures the first one's vector is taken. A few parts are open at a time."""

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
    """All that was read of the shards; their vectors join the known ones.

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
    """Only here is the size of a picture known that was not decoded."""
    if picture.width:
        return picture
    width, height = known.size(picture.sha256) or (0, 0)
    return replace(picture, width=width, height=height)


def _missing() -> Unavailable:
    return Unavailable("Parts of the work are missing. The same command does them again.")
