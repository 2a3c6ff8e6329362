"""The files of a collection: their names, and their content, batch by batch.

clip-retrieval      img_emb/img_emb_07.npy        (rows, dimensions) float16 or float32
                    text_emb/text_emb_07.npy      vectors of the captions, if it has any
                    metadata/metadata_07.parquet  image_path, caption and any other columns
parquet             part-07.parquet               the same columns, and `embedding`
table               **/*.parquet or **/*.arrow    a data set of the package datasets with the pictures themselves:
                                                  caption, image_data, image_embeddings, text_embeddings

Part numbers have as many digits as the number of files. Numbers may be missing: clip-retrieval writes no file for a
part in which it found nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imagetext.wire.errors import InvalidParameter, NotFound

PICTURES, TEXTS, METADATA, PART = "img_emb", "text_emb", "metadata", "part"
EMBEDDING = "embedding"  # the column of vectors in parquet
CAPTION = "caption"
OWN = "imagetext"  # the column with the index's own row, and the name of the note in the files' own metadata
ROWS = 1024  # read at once

TABLE_COLUMNS = (CAPTION, "image_data", "image_embeddings", "text_embeddings")
TABLE_ROWS = 256  # read at once: they carry their pictures

_NUMBER = re.compile(r"_(\d+)\.(?:npy|parquet)")
_SUFFIXES = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"RIFF", ".webp"), (b"BM", ".bmp"))


class Layout(StrEnum):
    CLIP_RETRIEVAL = "clip-retrieval"
    PARQUET = "parquet"
    TABLE = "table"


@dataclass(frozen=True)
class Batch:
    """Neighbouring rows. `vectors` and `texts` are (rows, dimensions) floats, unchecked; `columns` has a mapping for
    each row.

    `pictures` are names and contents, where the collection carries its pictures. `unusable` rows are to be skipped, for
    the reason given.
    """

    vectors: NDArray[Any]
    columns: list[dict[str, Any]]
    texts: NDArray[Any] | None = None
    pictures: list[tuple[str, bytes]] | None = None
    unusable: Mapping[int, str] = field(default_factory=dict)


class Shard(Protocol):
    """One part of a collection. `name` is for messages, `table` the file with the columns."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def table(self) -> Path: ...
    def batches(self) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class NumpyShard:
    """Vectors in memory-mapped .npy files, and their metadata in parquet."""

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
    """Vectors in a column of the table."""

    name: str
    size: int
    dimensions: int
    table: Path

    def batches(self) -> Iterator[Batch]:
        for batch in _batches(self.table):
            vectors = _matrix(batch.column(EMBEDDING), self.dimensions, self.name)
            yield Batch(vectors, batch.drop_columns([EMBEDDING]).to_pylist())


@dataclass(frozen=True)
class TableShard:
    """Pictures with their vectors in a file of `datasets`; pictures are named by their row, counted from `first`."""

    name: str
    size: int
    dimensions: int
    table: Path
    first: int

    def batches(self) -> Iterator[Batch]:
        number = self.first
        for batch in _batches(self.table, TABLE_COLUMNS, TABLE_ROWS):
            rows = batch.to_pylist()
            vectors = [_vector(row["image_embeddings"], self.dimensions) for row in rows]
            texts = [_vector(row["text_embeddings"], self.dimensions) for row in rows]
            contents = [_content(row["image_data"]) for row in rows]
            reason = f"Its vector is not of {self.dimensions} finite numbers."
            yield Batch(
                np.stack([np.ones(self.dimensions, np.float32) if each is None else each for each in vectors]),
                [{CAPTION: row[CAPTION]} for row in rows],
                np.stack([np.zeros(self.dimensions, np.float32) if each is None else each for each in texts]),
                [(f"{row:08}{_suffix(content)}", content) for row, content in enumerate(contents, number)],
                {row: reason for row, vector in enumerate(vectors) if vector is None},
            )
            number += len(rows)


def recognise(folder: Path) -> Layout:
    """The layout of a folder, by the names of its files and the columns in them.

    Raises:
        NotFound: it has none of the layouts.
        InvalidParameter: a file is damaged.
    """
    if _numbered(folder, PICTURES):
        return Layout.CLIP_RETRIEVAL
    parts = _parquet_files(folder)
    if parts and EMBEDDING in _column_names(parts[0]):
        return Layout.PARQUET
    if _table_files(folder):
        return Layout.TABLE
    raise NotFound(
        f"{folder} holds no known collection: neither img_emb/img_emb_*.npy of clip-retrieval, nor parquet files with "
        f"a column {EMBEDDING}, nor a data set saved by the package datasets."
    )


def open_shards(folder: Path, layout: Layout) -> list[Shard]:
    """All parts of a collection in the order of their numbers, each with as many vectors as rows.

    Raises:
        InvalidParameter: a part, which is named, is damaged, or its files do not belong together.
        NotFound: the collection is empty.
    """
    shards: list[Shard] = []
    if layout is Layout.CLIP_RETRIEVAL:
        shards += [_numpy_shard(*files) for files in _clip_retrieval_files(folder)]
    elif layout is Layout.PARQUET:
        shards += [_parquet_shard(file) for file in _parquet_files(folder)]
    else:
        shards += _table_shards(folder)
    shards = [shard for shard in shards if shard.size]
    for shard in shards[1:]:
        if shard.dimensions != shards[0].dimensions:
            numbers = f"{shard.dimensions} numbers, those of {shards[0].name} have {shards[0].dimensions}"
            raise InvalidParameter(f"The vectors of {shard.name} have {numbers}.")
    if not shards:
        raise NotFound(f"The collection in {folder} is empty.")
    return shards


def part_name(kind: str, number: int, count: int) -> str:
    """img_emb_07 as clip-retrieval names the eighth of some dozens; part-07 in parquet."""
    separator = "-" if kind == PART else "_"
    return f"{kind}{separator}{number:0{len(str(count))}}"


def read_columns(file: Path, names: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """The rows of a parquet file, at most `ROWS` at once, with all columns or some. Raises InvalidParameter."""
    for batch in _batches(file, names):
        yield batch.to_pylist()


def file_note(file: Path, name: str) -> bytes | None:
    """An entry of a parquet file's own metadata. Raises InvalidParameter."""
    with _reading(file), pq.ParquetFile(file) as table:
        note: bytes | None = (table.schema_arrow.metadata or {}).get(name.encode())
        return note


def _clip_retrieval_files(folder: Path) -> list[tuple[Path, Path, Path | None]]:
    """The files of each part, by its number: vectors, metadata, and vectors of captions.

    Raises:
        InvalidParameter: a file has no partner, or a number is there twice.
    """
    vectors, metadata, texts = (_numbered(folder, name) for name in (PICTURES, METADATA, TEXTS))
    for number in sorted(vectors.keys() ^ metadata.keys()):
        there, missing = (vectors, METADATA) if number in vectors else (metadata, PICTURES)
        raise InvalidParameter(f"{there[number].name} has no {missing} of the number {number} beside it.")
    return [(vectors[number], metadata[number], texts.get(number)) for number in sorted(vectors)]


def _numbered(folder: Path, kind: str) -> dict[int, Path]:
    """Files by number; in the folder of that kind, or in any other, as older collections have them."""
    suffix = "parquet" if kind == METADATA else "npy"
    found: dict[int, Path] = {}
    for file in sorted([*folder.glob(f"{kind}_*.{suffix}"), *folder.glob(f"*/{kind}_*.{suffix}")]):
        number = _NUMBER.search(file.name)
        if number is not None and found.setdefault(int(number[1]), file) != file:
            raise InvalidParameter(f"{found[int(number[1])]} and {file} have the same number.")
    return found


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _table_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet")) or sorted(folder.rglob("*.arrow"))


def _numpy_shard(vectors: Path, table: Path, texts: Path | None) -> NumpyShard:
    size, dimensions = _map(vectors).shape
    for file, number in ((table, _count_rows(table)), *(((texts, len(_map(texts))),) if texts else ())):
        if number != size:
            raise InvalidParameter(f"{vectors.name} holds {size:,} vectors, but {file.name} has {number:,} rows.")
    return NumpyShard(vectors.name, size, dimensions, vectors, table, texts)


def _parquet_shard(table: Path) -> ParquetShard:
    if EMBEDDING not in _column_names(table):
        raise InvalidParameter(f"{table.name} lacks the column {EMBEDDING}.")
    first = next(_batches(table, [EMBEDDING]), None)
    dimensions = 0 if first is None else len(first.column(EMBEDDING)[0].as_py() or ())
    return ParquetShard(table.name, _count_rows(table), dimensions, table)


def _table_shards(folder: Path) -> Iterator[TableShard]:
    """Rows are counted through all files; all vectors must have as many numbers as the first."""
    first, dimensions = 0, 0
    for file in _table_files(folder):
        missing = [name for name in TABLE_COLUMNS if name not in _column_names(file)]
        if missing:
            raise InvalidParameter(f"{file.name} lacks the columns {', '.join(missing)}.")
        size = sum(batch.num_rows for batch in _batches(file, TABLE_COLUMNS[:1]))
        vectors = (row for batch in _batches(file, ["image_embeddings"]) for row in batch.column(0).to_pylist())
        dimensions = dimensions or next((len(vector) for vector in vectors if vector), 0)
        yield TableShard(file.name, size, dimensions, file, first)
        first += size


def _vector(numbers: object, dimensions: int) -> NDArray[np.float32] | None:
    """(dimensions,) finite numbers that are not all zero, or None."""
    try:
        vector = np.asarray(numbers, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return vector if vector.shape == (dimensions,) and np.isfinite(vector).all() and vector.any() else None


def _content(picture: object) -> bytes:
    content = picture.get("bytes") if isinstance(picture, dict) else picture
    return content if isinstance(content, bytes) else b""


def _suffix(content: bytes) -> str:
    return next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".jpg")


def _map(file: Path) -> NDArray[Any]:
    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as a Python literal, which may raise anything
        raise InvalidParameter(f"{file.name} cannot be read as an .npy file; it may be damaged or cut off.") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InvalidParameter(f"{file.name} does not hold one vector of floating-point numbers per row.")
    return vectors  # type: ignore[no-any-return]  # numpy's stubs cannot know the dtype of a file


def _matrix(column: pa.Array, dimensions: int, name: str) -> NDArray[Any]:
    try:
        vectors = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
        return vectors.reshape(len(column), dimensions)
    except (ValueError, AttributeError, pa.ArrowException) as error:  # lists of several lengths, or no lists
        raise InvalidParameter(f"Not every row of {name} has a vector of {dimensions} numbers.") from error


def _column_names(file: Path) -> list[str]:
    if file.suffix == ".arrow":
        with _reading(file), pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
            return list(stream.schema.names)
    with _reading(file), pq.ParquetFile(file) as table:
        return list(table.schema_arrow.names)


def _count_rows(file: Path) -> int:
    with _reading(file), pq.ParquetFile(file) as table:
        return int(table.metadata.num_rows)


def _batches(file: Path, names: Sequence[str] | None = None, rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Of a parquet file or an Arrow stream, at most so many rows at once."""
    with _reading(file):
        if file.suffix == ".arrow":
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                for batch in stream:
                    picked = batch if names is None else batch.select(list(names))
                    yield from (picked.slice(first, rows) for first in range(0, picked.num_rows, rows))
        else:
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(rows, columns=None if names is None else list(names))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{file.name} cannot be read; it may be damaged.") from error
