"""The rows of a version to come, on the disk: a collection may be larger than the memory.

A collection of another program to a published index version: its vectors are taken over, no picture is encoded.
"""

import json
import os
import pickle
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.index import EncoderRef, IndexOptions, PictureRow, SkippedFile, publish, write_version
from imagetext.index.changes.journal import require_unchanged
from imagetext.index.manifest import VECTORS
from imagetext.index.versions import VERSIONS, prune_versions, remove_leftovers
from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.build import KEPT_VERSIONS
from indexer.exchange.layout import Layout
from indexer.exchange.pictures import Place, find_place, read_origin, to_row
from indexer.exchange.same_model import require_same_model
from indexer.exchange.shards import Batch, Shard, open_shards
from indexer.lock import build_lock
from indexer.questions import question_vectors
from indexer.reading import THREADS
from indexer.summary import Summary

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder


_CREATE = "CREATE TABLE gathered (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, picture BLOB, carried TEXT)"


class GatheredRows(Sequence[PictureRow]):
    """Rows in the order in which they were added; for one thread."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")  # half a file is thrown away
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_CREATE)
        self._connection.execute("BEGIN")
        self._size = 0

    def add(self, picture: PictureRow, carried: dict[str, Any]) -> bool:
        """False, and nothing is added, if there is a picture of this id. `picture.row` must be the number of rows."""
        added = self._connection.execute(
            "INSERT OR IGNORE INTO gathered VALUES (?, ?, ?, ?)",
            (picture.row, picture.id, pickle.dumps(picture), json.dumps(carried) if carried else None),
        )
        self._size += added.rowcount
        return added.rowcount == 1

    def carried(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """What came with the rows, of those with which something did."""
        select = "SELECT row, carried FROM gathered WHERE carried IS NOT NULL ORDER BY row"
        for row, fields in self._connection.execute(select):
            yield row, json.loads(fields)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[PictureRow]:
        for (picture,) in self._connection.execute("SELECT picture FROM gathered ORDER BY row"):
            yield pickle.loads(picture)

    @overload
    def __getitem__(self, row: int) -> PictureRow: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[PictureRow]: ...
    def __getitem__(self, row: int | slice) -> PictureRow | Sequence[PictureRow]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(self._size))]
        number = row + self._size if row < 0 else row
        found = self._connection.execute("SELECT picture FROM gathered WHERE row = ?", (number,)).fetchone()
        if found is None:
            raise IndexError(row)
        picture: PictureRow = pickle.loads(found[0])
        return picture

    def close(self) -> None:
        self._connection.close()


UNIT = 1e-5  # a length this near to 1 is left alone, so that an index's own vectors come back bit by bit


@dataclass
class _Taken:
    """What became of the collection's rows so far."""

    rows: GatheredRows
    vectors: NDArray[np.float32]
    missing: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)


@dataclass(frozen=True)
class Imported:
    """`missing` pictures have no file here that can be read; `compared` is what `require_same_model` compared."""

    summary: Summary
    missing: int
    compared: str | None


def import_collection(
    source: Path,
    layout: Layout,
    index: Path,
    encoder: "Encoder",
    *,
    images: Path | None = None,
    wanted: IndexOptions | None = None,
    trust: bool = False,
) -> Imported:
    """Publish a version with the vectors of a collection, normalised, in its order.

    Memory does not grow with the collection, except for what the kind of index takes. Interrupted, it leaves nothing
    behind and begins again.

    Args:
        images: where the pictures lie, if not where the collection says; their files need not be there.
        trust: do not ask whether the vectors are the encoder's.

    Raises:
        NotFound: there is no such collection, or no usable row in it; the current version stays.
        InvalidParameter: the collection is damaged (the sentence names the part), or not of the encoder.
        Busy: another build is running on this index.
    """
    started = time.monotonic()
    shards = open_shards(source, layout)
    origin = read_origin(shards)
    require_unchanged(index)
    place = find_place(shards, source, images, origin)
    compared = require_same_model(shards, place, origin, encoder, trust=trust)
    index.mkdir(parents=True, exist_ok=True)
    with build_lock(index):
        remove_leftovers(index)
        with _room(index, sum(shard.size for shard in shards), encoder.dimensions) as taken:
            _take(shards, place, taken)
            size = len(taken.rows)
            if not size:
                raise NotFound(f"{source} holds no row with the path of a picture.")
            version = _write(index, taken, place, encoder, wanted or IndexOptions())
        publish(index, version)
        prune_versions(index, KEPT_VERSIONS)
    summary = Summary(True, version, size, 0, size, taken.skipped, time.monotonic() - started)
    return Imported(summary, taken.missing, compared)


@contextmanager
def _room(index: Path, size: int, dimensions: int) -> Iterator[_Taken]:
    """Files for rows and vectors, where a killed build's leftovers are cleared away."""
    folder = index / VERSIONS / ".building-import"
    folder.mkdir(parents=True)
    try:
        vectors = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float32, (size, dimensions))
        with (folder / VECTORS).open("rb+") as file:  # a full disk must be an error here, not a signal while mapped
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        rows = GatheredRows(folder / "rows.sqlite")
        try:
            yield _Taken(rows, vectors)
        finally:
            rows.close()
    finally:
        shutil.rmtree(folder)


def _take(shards: Sequence[Shard], place: Place, taken: _Taken) -> None:
    total = sum(shard.size for shard in shards)
    with (
        ThreadPoolExecutor(THREADS, "read") as pool,
        tqdm(total=total, unit="picture", disable=None) as bar,
    ):
        for shard in shards:
            first = 0
            for batch in shard.batches():
                made = list(pool.map(lambda columns: to_row(0, columns, place), batch.columns))
                _add(shard, first, batch, made, taken, place)
                first += len(batch.columns)
                bar.update(len(batch.columns))


def _add(
    shard: Shard,
    first: int,
    batch: Batch,
    made: Sequence[tuple[PictureRow, dict[str, Any]] | str],
    taken: _Taken,
    place: Place,
) -> None:
    vectors = _unit(shard, first, batch.vectors)
    for number, one in enumerate(made):
        if isinstance(one, str):
            taken.skipped.append(SkippedFile(f"{shard.name}#{first + number}", one))
            continue
        row = len(taken.rows)
        picture = replace(one[0], row=row)
        if not taken.rows.add(picture, one[1]):
            taken.skipped.append(SkippedFile(picture.path, "The collection has another picture of the same path."))
            continue
        taken.vectors[row] = vectors[number]
        taken.missing += not (picture.was_seen and os.path.isfile(place.root / picture.path))


def _unit(shard: Shard, first: int, vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Raises InvalidParameter for a vector that has no direction."""
    made = np.array(vectors, dtype=np.float32)
    lengths = np.linalg.norm(made, axis=1)
    unusable = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(unusable):
        raise InvalidParameter(
            f"Vector {first + unusable[0]} of {shard.name} is not of finite numbers, or is all zeros; nothing was "
            f"imported."
        )
    off = np.abs(lengths - 1) > UNIT
    made[off] /= lengths[off, None]
    return made


def _write(index: Path, taken: _Taken, place: Place, encoder: "Encoder", wanted: IndexOptions) -> str:
    size = len(taken.rows)
    return write_version(
        index,
        taken.rows,
        taken.vectors[:size],
        encoder=EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions),
        images_root=Path(os.path.abspath(place.root)),
        skipped=taken.skipped,
        options=wanted,
        texts=question_vectors(encoder, wanted, size),
        carried=taken.rows.carried(),
    )
