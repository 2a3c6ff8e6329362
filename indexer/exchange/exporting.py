"""`python -m indexer export`: a version becomes a folder for other programs, laid out as clip-retrieval or parquet.

The folder appears when all of it is on the disk, or not at all.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.files import fsync, fsync_all, locked
from imagetext.index import IndexReader, current_version, list_versions, version_folder
from imagetext.wire.errors import Busy, InvalidParameter, NotFound
from indexer.arguments import SHARD_SIZE
from indexer.exchange.collection import EMBEDDING, METADATA, PART, PICTURES, ROWS, TEXTS, Layout, part_name
from indexer.exchange.to_columns import captions, carried_schema, has_captions, schema, to_columns
from indexer.reports import Context

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder

DTYPES: dict[str, type[np.floating[Any]]] = {"float16": np.float16, "float32": np.float32}


@dataclass(frozen=True)
class Exported:
    """What was written; `bytes` is the size of all files together."""

    version: str
    out: str
    format: str
    dtype: str
    size: int
    shards: int
    bytes: int
    seconds: float

    def to_text(self) -> str:
        return (
            f"Exported version {self.version} with {self.size} pictures as {self.format} ({self.dtype}): "
            f"{self.shards} shards in {self.out}, in {self.seconds:.1f} seconds."
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def export_(options: argparse.Namespace, context: Context) -> int:
    """The command export."""
    layout = Layout(options.format)
    if options.model and layout is not Layout.CLIP_RETRIEVAL:
        raise InvalidParameter("Vectors of captions are only written with --format clip-retrieval.")
    version = options.version or current_version(options.index)
    if version is None or version not in list_versions(options.index):
        missing = f"version {version}" if version else "version yet"
        raise NotFound(f"The index has no {missing}; `python -m indexer versions --index {options.index}` lists them.")
    dtype = options.dtype or ("float16" if layout is Layout.CLIP_RETRIEVAL else "float32")
    reader = IndexReader.open(version_folder(options.index, version), verify=True)  # damage must not be handed on
    try:
        encoder = context.load_encoder(options.model) if options.model else None
        exported = export(reader, options.out, layout, dtype=dtype, shard_size=options.shard_size, encoder=encoder)
    finally:
        reader.close()
    context.say(json.dumps(exported.to_json()) if options.json else exported.to_text())
    return 0


def export(
    reader: IndexReader,
    out: Path,
    layout: Layout,
    *,
    dtype: str,
    shard_size: int = SHARD_SIZE,
    encoder: "Encoder | None" = None,
) -> Exported:
    """Write all pictures of a version, part by part; `out` appears when all of it is on the disk.

    Args:
        dtype: of the vectors, a key of `DTYPES`; float32 is lossless.
        encoder: the one that made the version, to write vectors of the captions too (only for clip-retrieval).

    Raises:
        InvalidParameter: `out` exists, the version has another encoder, or it has no captions to encode.
        Busy: another process is writing `out`.
    """
    started = time.monotonic()
    if encoder is not None and encoder.fingerprint != reader.info.fingerprint:
        raise InvalidParameter(f"The version was made by a model other than {encoder.name}.")
    carried = carried_schema(reader)
    if encoder is not None and not has_captions(reader, carried):
        raise InvalidParameter("The version has no captions to encode; leave --model out.")
    spans = [(first, min(first + shard_size, reader.info.size)) for first in range(0, reader.info.size, shard_size)]
    with atomic_folder(out) as folder:
        with tqdm(total=reader.info.size, unit="picture", disable=None) as bar:
            part = _Part(reader, carried, DTYPES[dtype], encoder, bar.update)
            write = part.clip_retrieval if layout is Layout.CLIP_RETRIEVAL else part.parquet
            for number, (first, last) in enumerate(spans):
                write(folder, first, last, number, len(spans))
        written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    seconds = round(time.monotonic() - started, 3)
    return Exported(reader.info.version, str(out), str(layout), dtype, reader.info.size, len(spans), written, seconds)


@dataclass(frozen=True)
class _Part:
    """Writes the rows from `first` to before `last` as part `number` of `count`."""

    reader: IndexReader
    carried: dict[str, pa.DataType | None]
    dtype: type[np.floating[Any]]
    encoder: "Encoder | None"
    advance: Callable[[int], object]

    def clip_retrieval(self, folder: Path, first: int, last: int, number: int, count: int) -> None:
        shape = (last - first, self.reader.dimensions)
        table = folder / METADATA / f"{part_name(METADATA, number, count)}.parquet"
        table.parent.mkdir(exist_ok=True)
        made = schema(self.reader, self.carried)
        with ExitStack() as files:
            writer = files.enter_context(pq.ParquetWriter(table, made))
            kinds = (PICTURES,) if self.encoder is None else (PICTURES, TEXTS)
            npy = {
                kind: files.enter_context(_NpyFile(folder / kind, part_name(kind, number, count), shape, self.dtype))
                for kind in kinds
            }
            for vectors, columns in self._batches(first, last):
                npy[PICTURES].append(vectors)
                if self.encoder is not None:
                    npy[TEXTS].append(self.encoder.encode_texts(captions(columns)))
                writer.write_table(pa.Table.from_pylist(columns, made))

    def parquet(self, folder: Path, first: int, last: int, number: int, count: int) -> None:
        vector = pa.list_(pa.from_numpy_dtype(self.dtype), self.reader.dimensions)
        made = schema(self.reader, self.carried, [pa.field(EMBEDDING, vector)])
        with pq.ParquetWriter(folder / f"{part_name(PART, number, count)}.parquet", made) as writer:
            for vectors, columns in self._batches(first, last):
                table = pa.Table.from_pylist(columns, made)
                numbers = pa.FixedSizeListArray.from_arrays(
                    pa.array(vectors.astype(self.dtype).ravel()), self.reader.dimensions
                )
                writer.write_table(table.set_column(made.get_field_index(EMBEDDING), made.field(EMBEDDING), numbers))

    def _batches(self, first: int, last: int) -> Iterator[tuple[NDArray[np.float32], list[dict[str, Any]]]]:
        for start in range(first, last, ROWS):
            end = min(start + ROWS, last)
            yield self.reader.vectors(range(start, end)), to_columns(self.reader, self.carried, start, end)
            self.advance(end - start)


class _NpyFile:
    """An .npy file that is filled row by row, so that no part need be in memory as a whole."""

    def __init__(self, folder: Path, name: str, shape: tuple[int, int], dtype: type[np.floating[Any]]) -> None:
        folder.mkdir(exist_ok=True)
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._file = (folder / f"{name}.npy").open("wb")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> "_NpyFile":
        return self

    def append(self, vectors: NDArray[np.float32]) -> None:
        self._file.write(np.ascontiguousarray(vectors, dtype=self._dtype).tobytes())

    def __exit__(self, *error: object) -> None:
        self._file.close()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, which is renamed at the end; leftovers of a killed process are removed.

    Raises:
        InvalidParameter: the folder exists and is not empty.
        Busy: another process is writing it.
    """
    folder = Path(os.path.abspath(folder))
    _require_free(folder)
    hidden = folder.with_name(f".{folder.name}.unfinished")
    hidden.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(hidden, wait=0, folder=True))
        except BlockingIOError as error:
            raise Busy(f"Another process is writing {folder}; wait until it has ended.") from error
        _clear(hidden)
        try:
            yield hidden
            _require_free(folder)
            fsync_all(hidden)
            os.rename(hidden, folder)  # onto nothing, or onto an empty folder
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        fsync(folder.parent)


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidParameter(f"{folder} exists and is not empty; name another folder.")


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
