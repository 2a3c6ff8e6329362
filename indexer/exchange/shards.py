"""A collection's files: what they hold is checked by their heads, then they are read batch by batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.exchange.layout import EMBEDDING, Layout, clip_retrieval_parts, parquet_parts

ROWS = 1024  # read at once


@dataclass(frozen=True)
class Batch:
    """Neighbouring rows. `vectors` and `texts` are (rows, dimensions) floats, nothing of them checked; `columns` has a
    mapping for each row."""

    vectors: NDArray[Any]
    columns: list[dict[str, Any]]
    texts: NDArray[Any] | None


class Shard(Protocol):
    """One part of a collection. `name` is what people are told."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def table(self) -> Path: ...  # the parquet file
    def batches(self) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class NumpyShard:
    """Vectors in .npy files, mapped, and their metadata in parquet."""

    name: str
    size: int
    dimensions: int
    vectors: Path
    table: Path
    texts: Path | None

    def batches(self) -> Iterator[Batch]:
        vectors = _map(self.vectors)
        texts = None if self.texts is None else _map(self.texts)
        first = 0
        for columns in read_columns(self.table):
            last = first + len(columns)
            yield Batch(vectors[first:last], columns, None if texts is None else texts[first:last])
            first = last


@dataclass(frozen=True)
class ParquetShard:
    """Vectors in a column of their own."""

    name: str
    size: int
    dimensions: int
    table: Path

    def batches(self) -> Iterator[Batch]:
        for batch in _batches(self.table):
            vectors = _matrix(batch.column(EMBEDDING), self.dimensions, self.name)
            yield Batch(vectors, batch.drop_columns([EMBEDDING]).to_pylist(), None)


def open_shards(folder: Path, layout: Layout) -> list[Shard]:
    """All parts of a collection in the order of their numbers, each of as many vectors as it has rows.

    Raises:
        InvalidParameter: naming the part that is damaged, or whose files do not belong together.
        NotFound: it holds nothing.
    """
    shards: list[Shard] = []
    if layout is Layout.CLIP_RETRIEVAL:
        shards += [_numpy_shard(*files) for files in clip_retrieval_parts(folder)]
    else:
        shards += [_parquet_shard(file) for file in parquet_parts(folder)]
    shards = [shard for shard in shards if shard.size]
    for shard in shards[1:]:
        if shard.dimensions != shards[0].dimensions:
            numbers = f"{shard.dimensions} numbers, those of {shards[0].name} have {shards[0].dimensions}"
            raise InvalidParameter(f"The vectors of {shard.name} have {numbers}.")
    if not shards:
        raise NotFound(f"The collection in {folder} is empty.")
    return shards


def column_names(file: Path) -> list[str]:
    """Raises InvalidParameter."""
    with _reading(file), pq.ParquetFile(file) as table:
        return list(table.schema_arrow.names)


def file_note(file: Path, name: str) -> bytes | None:
    """What the file's own metadata say under a name. Raises InvalidParameter."""
    with _reading(file), pq.ParquetFile(file) as table:
        note: bytes | None = (table.schema_arrow.metadata or {}).get(name.encode())
        return note


def read_columns(file: Path, names: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """The rows of a parquet file, at most `ROWS` at once; of all columns, or of some. Raises InvalidParameter."""
    for batch in _batches(file, names):
        yield batch.to_pylist()


def _numpy_shard(vectors: Path, table: Path, texts: Path | None) -> NumpyShard:
    size, dimensions = _map(vectors).shape
    for file, number in ((table, _count_rows(table)), *(((texts, len(_map(texts))),) if texts else ())):
        if number != size:
            raise InvalidParameter(f"{vectors.name} holds {size:,} vectors, but {file.name} has {number:,} rows.")
    return NumpyShard(vectors.name, size, dimensions, vectors, table, texts)


def _parquet_shard(table: Path) -> ParquetShard:
    if EMBEDDING not in column_names(table):
        raise InvalidParameter(f"{table.name} lacks the column {EMBEDDING}.")
    size = _count_rows(table)
    first = next(iter(_batches(table, [EMBEDDING])), None)
    dimensions = 0 if first is None else len(first.column(EMBEDDING)[0].as_py() or ())
    return ParquetShard(table.name, size, dimensions, table)


def _count_rows(file: Path) -> int:
    with _reading(file), pq.ParquetFile(file) as table:
        return int(table.metadata.num_rows)


def _map(file: Path) -> NDArray[Any]:
    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as a Python literal, and lets all kinds out of that
        raise InvalidParameter(f"{file.name} cannot be read as an .npy file; it may be damaged or cut off.") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InvalidParameter(f"{file.name} does not hold one vector of decimal numbers in each row.")
    return vectors  # type: ignore[no-any-return]  # numpy's stubs cannot know the dtype of a file


def _matrix(column: pa.Array, dimensions: int, name: str) -> NDArray[Any]:
    try:
        vectors = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
        return vectors.reshape(len(column), dimensions)
    except (ValueError, AttributeError, pa.ArrowException) as error:  # lists of several lengths, or no lists
        raise InvalidParameter(f"Not each row of {name} has a vector of {dimensions} numbers.") from error


def _batches(file: Path, names: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    with _reading(file), pq.ParquetFile(file) as table:
        yield from table.iter_batches(ROWS, columns=None if names is None else list(names))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{file.name} cannot be read; it may be damaged.") from error
