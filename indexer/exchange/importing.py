"""`python -m indexer import`: a collection becomes a published version with its own vectors; no picture is encoded."""

import argparse
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
from functools import partial
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
from indexer.arguments import read_wanted
from indexer.exchange.collection import Batch, Layout, Shard, open_shards, recognise
from indexer.exchange.from_columns import PictureFolder, find_pictures, read_note, replace_file, save_picture, to_row
from indexer.exchange.same_model import require_same_model
from indexer.publishing import KEPT_VERSIONS, Progress, build_lock, question_vectors, reported
from indexer.reading import THREADS
from indexer.reports import Context, Summary
from indexer.sources import require_folder

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

UNIT = 1e-5  # a length this near to 1 is left alone, so that an index's own vectors come back bit by bit
CAPTIONS = "captions.token.txt"  # beside the pictures that are written out: the layout of Flickr8k, without splits

_CREATE = "CREATE TABLE gathered (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, picture BLOB, carried TEXT)"


@dataclass(frozen=True)
class Imported:
    """`missing` pictures have no readable file here; `compared` is what `require_same_model` returned."""

    summary: Summary
    missing: int
    compared: str | None


def import_(options: argparse.Namespace, context: Context) -> int:
    """The commands import and import-embeddings."""
    require_folder(options.source)
    layout = Layout(options.layout) if options.layout else recognise(options.source)
    wanted = read_wanted(options)
    if layout is Layout.TABLE and options.images is None:
        raise InvalidParameter("This data set carries its pictures; --images must say where to write them.")
    open_shards(options.source, layout)  # before the model is loaded, which takes seconds
    encoder = context.load_encoder(options.model)
    imported = import_collection(
        options.source, layout, options.index, encoder, images=options.images, wanted=wanted, trust=options.trust
    )
    summary = imported.summary
    if options.json:
        fields = json.loads(summary.to_json()) | {"missing": imported.missing, "compared": imported.compared}
        context.say(json.dumps(fields))
        return 0
    context.say(summary.to_text())
    if imported.missing:
        context.say(f"{imported.missing} pictures have no file here: they are found, but cannot be shown.")
    if imported.compared is None:
        context.say(f"Not checked: whether the vectors are those of the model {options.model}.")
    return 0


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

    Memory does not grow with the collection, except for what the kind of index needs. If interrupted, it leaves nothing
    behind but pictures that were written out, and starts again.

    Args:
        images: where the pictures are, if not where the collection says; their files need not be there. The pictures of
            a table are written to the folder Images in it, and their captions beside that.
        trust: do not check whether the vectors are the encoder's.

    Raises:
        NotFound: there is no such collection, or no usable row in it; the current version stays.
        InvalidParameter: the collection is damaged (the message names the part), its vectors are another model's, or
            the index holds changes that came through the API.
        Busy: another build is running on this index.
    """
    started = time.monotonic()
    shards = open_shards(source, layout)
    note = read_note(shards, layout)
    require_unchanged(index)
    folder = find_pictures(shards, layout, source, images, note)
    compared = require_same_model(shards, folder, note, encoder, trust=trust)
    index.mkdir(parents=True, exist_ok=True)
    if layout is Layout.TABLE:
        folder.root.mkdir(parents=True, exist_ok=True)
    with build_lock(index), reported(index) as progress:
        remove_leftovers(index)
        progress.stage("writing")
        with _open_import(index, sum(shard.size for shard in shards), encoder.dimensions) as gathered:
            _gather(shards, folder, gathered)
            size = len(gathered.rows)
            if not size:
                raise NotFound(f"{source} holds no row with a picture or the path of one.")
            if layout is Layout.TABLE:
                _write_captions(folder.root.parent / CAPTIONS, gathered.rows)
            version = _write(index, gathered, folder, encoder, wanted or IndexOptions(), progress)
        progress.stage("publishing")
        publish(index, version)
        prune_versions(index, KEPT_VERSIONS)
    summary = Summary(True, version, size, 0, size, gathered.skipped, time.monotonic() - started)
    return Imported(summary, gathered.missing, compared)


class GatheredRows(Sequence[PictureRow]):
    """The rows of the new version in the order in which they were added, on the disk: a collection may be larger than
    memory. For one thread."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")  # a half-written file is thrown away
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_CREATE)
        self._connection.execute("BEGIN")
        self._size = 0

    def add(self, picture: PictureRow, carried: dict[str, Any]) -> bool:
        """False, and nothing is added, if a row has this id already. `picture.row` must be the number of rows."""
        added = self._connection.execute(
            "INSERT OR IGNORE INTO gathered VALUES (?, ?, ?, ?)",
            (picture.row, picture.id, pickle.dumps(picture), json.dumps(carried) if carried else None),
        )
        self._size += added.rowcount
        return added.rowcount == 1

    def carried(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Row numbers and the fields carried with them; rows without any are left out."""
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


@dataclass
class _Gathered:
    """What became of the collection's rows so far."""

    rows: GatheredRows
    vectors: NDArray[np.float32]
    missing: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)


@contextmanager
def _open_import(index: Path, size: int, dimensions: int) -> Iterator[_Gathered]:
    """Files for rows and vectors, in a folder that `remove_leftovers` clears after a kill."""
    folder = index / VERSIONS / ".building-import"
    folder.mkdir(parents=True)
    try:
        vectors = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float32, (size, dimensions))
        with (folder / VECTORS).open("rb+") as file:  # a full disk must be an error here, not a signal while mapped
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        rows = GatheredRows(folder / "rows.sqlite")
        try:
            yield _Gathered(rows, vectors)
        finally:
            rows.close()
    finally:
        shutil.rmtree(folder)


def _gather(shards: Sequence[Shard], folder: PictureFolder, gathered: _Gathered) -> None:
    total = sum(shard.size for shard in shards)
    with (
        ThreadPoolExecutor(THREADS, "read") as pool,
        tqdm(total=total, unit="picture", disable=None) as bar,
    ):
        for shard in shards:
            first = 0
            for batch in shard.batches():
                rows = list(pool.map(partial(_row, batch, folder), range(len(batch.columns))))
                _add(shard, first, batch, rows, gathered, folder)
                first += len(batch.columns)
                bar.update(len(batch.columns))


def _row(batch: Batch, folder: PictureFolder, number: int) -> tuple[PictureRow, dict[str, Any]] | str:
    """Row 0 with its carried fields, or the reason why the picture cannot be indexed."""
    if number in batch.unusable:
        return batch.unusable[number]
    if batch.pictures is None:
        return to_row(batch.columns[number], folder)
    saved = save_picture(*batch.pictures[number], batch.columns[number], folder)
    return saved if isinstance(saved, str) else (saved, {})


def _add(
    shard: Shard,
    first: int,
    batch: Batch,
    rows: Sequence[tuple[PictureRow, dict[str, Any]] | str],
    gathered: _Gathered,
    folder: PictureFolder,
) -> None:
    vectors = _unit(shard, first, batch.vectors)
    for number, outcome in enumerate(rows):
        if isinstance(outcome, str):
            name = f"{shard.name}#{first + number}" if batch.pictures is None else batch.pictures[number][0]
            gathered.skipped.append(SkippedFile(name, outcome))
            continue
        row = len(gathered.rows)
        picture = replace(outcome[0], row=row)
        if not gathered.rows.add(picture, outcome[1]):
            gathered.skipped.append(SkippedFile(picture.path, "The collection has another picture of the same path."))
            continue
        gathered.vectors[row] = vectors[number]
        gathered.missing += not (picture.was_seen and os.path.isfile(folder.root / picture.path))


def _unit(shard: Shard, first: int, vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Raises InvalidParameter for a vector that has no direction."""
    unit = np.array(vectors, dtype=np.float32)
    lengths = np.linalg.norm(unit, axis=1)
    unusable = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(unusable):
        raise InvalidParameter(
            f"Vector {first + unusable[0]} of {shard.name} has a number that is not finite, or only zeros; nothing was "
            f"imported."
        )
    off = np.abs(lengths - 1) > UNIT
    unit[off] /= lengths[off, None]
    return unit


def _write_captions(file: Path, rows: Sequence[PictureRow]) -> None:
    lines = (f"{row.path}#0\t{caption}\n" for row in rows for caption in row.captions)
    replace_file(file, "".join(lines).encode())


def _write(
    index: Path,
    gathered: _Gathered,
    folder: PictureFolder,
    encoder: "Encoder",
    wanted: IndexOptions,
    progress: Progress,
) -> str:
    size = len(gathered.rows)
    return write_version(
        index,
        gathered.rows,
        gathered.vectors[:size],
        encoder=EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions),
        images_root=Path(os.path.abspath(folder.root)),
        skipped=gathered.skipped,
        options=wanted,
        texts=question_vectors(encoder, wanted, size),
        stage=progress.stage,
        carried=gathered.rows.carried(),
    )
