"""A folder that is there as a whole or not at all.

A version to a folder that other programs read: as clip-retrieval writes it, or as plain parquet.
"""

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
from imagetext.index import IndexReader
from imagetext.wire.errors import Busy, InvalidParameter
from indexer.arguments import SHARD_SIZE
from indexer.exchange.columns import ROWS, captions, carried_schema, has_captions, schema, to_columns
from indexer.exchange.layout import EMBEDDING, METADATA, PART, PICTURES, TEXTS, Layout, part_name

if TYPE_CHECKING:
    from imagetext.models.encoder.engine import Encoder


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, which gets its name at the end; what a killed writer left is cleared away.

    Raises:
        InvalidParameter: there is such a folder already, with something in it.
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
            raise Busy(f"Another process is writing {folder}; wait for its end.") from error
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
        raise InvalidParameter(f"{folder} exists already and is not empty; name another folder.")


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


DTYPES: dict[str, type[np.floating[Any]]] = {"float16": np.float16, "float32": np.float32}


@dataclass(frozen=True)
class Exported:
    """What was written; `bytes` of all files together."""

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


def export(
    reader: IndexReader,
    out: Path,
    layout: Layout,
    *,
    dtype: str,
    shard_size: int = SHARD_SIZE,
    encoder: "Encoder | None" = None,
) -> Exported:
    """Write all pictures of a version, one part after the other; `out` appears when all of it is on the disk.

    Args:
        dtype: of the vectors, a key of `DTYPES`; float32 is lossless.
        encoder: the one that made the version, which then also gives vectors of the captions (clip-retrieval alone).

    Raises:
        InvalidParameter: `out` is there already, the encoder is another, or there is nothing it could encode.
        Busy: another process is writing `out`.
    """
    started = time.monotonic()
    if encoder is not None and encoder.fingerprint != reader.info.fingerprint:
        raise InvalidParameter(f"The version was made by another model than {encoder.name}.")
    carried = carried_schema(reader)
    if encoder is not None and not has_captions(reader, carried):
        raise InvalidParameter("The version has no captions that could be encoded; leave --model out.")
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
    """Writes the rows from `first` to before `last` as one part."""

    reader: IndexReader
    carried: dict[str, pa.DataType | None]
    dtype: type[np.floating[Any]]
    encoder: "Encoder | None"
    advance: Callable[[int], object]

    def clip_retrieval(self, folder: Path, first: int, last: int, number: int, of: int) -> None:
        shape = (last - first, self.reader.dimensions)
        table = folder / METADATA / f"{part_name(METADATA, number, of)}.parquet"
        table.parent.mkdir(exist_ok=True)
        made = schema(self.reader, self.carried)
        with ExitStack() as files:
            writer = files.enter_context(pq.ParquetWriter(table, made))
            kinds = (PICTURES,) if self.encoder is None else (PICTURES, TEXTS)
            npy = {
                kind: files.enter_context(_NpyFile(folder / kind, part_name(kind, number, of), shape, self.dtype))
                for kind in kinds
            }
            for vectors, columns in self._batches(first, last):
                npy[PICTURES].append(vectors)
                if self.encoder is not None:
                    npy[TEXTS].append(self.encoder.encode_texts(captions(columns)))
                writer.write_table(pa.Table.from_pylist(columns, made))

    def parquet(self, folder: Path, first: int, last: int, number: int, of: int) -> None:
        vector = pa.list_(pa.from_numpy_dtype(self.dtype), self.reader.dimensions)
        made = schema(self.reader, self.carried, [pa.field(EMBEDDING, vector)])
        with pq.ParquetWriter(folder / f"{part_name(PART, number, of)}.parquet", made) as writer:
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
