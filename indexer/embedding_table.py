"""The rows of a data set that carries its own vectors, as `shirsh10mall/Image_Captioning_GCC_Embeddings` has them.

Columns: caption, image_data (a picture's file, as `datasets` keeps it: bytes and path), image_embeddings and
text_embeddings (numbers, as many as the model has dimensions). Read are parquet files anywhere in a folder, and what
`datasets` saves to disk (Arrow streams).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetext.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("caption", "image_data", "image_embeddings", "text_embeddings")
ROWS = 256  # read at once


@dataclass(frozen=True)
class EmbeddedPicture:
    """One row, as it is written: nothing of it is checked."""

    caption: str
    content: bytes | None
    picture_vector: Sequence[float] | None
    text_vector: Sequence[float] | None


def find_tables(folder: Path) -> list[Path]:
    """The files with rows, in the order of their names.

    Raises:
        NotFound: there are none.
    """
    found = sorted(folder.rglob("*.parquet")) or sorted(folder.rglob("*.arrow"))
    if not found:
        raise NotFound(f"{folder} holds neither parquet files nor a data set saved by the package datasets.")
    return found


def count_rows(files: Sequence[Path]) -> int:
    """Raises InvalidParameter where a file is damaged or lacks a column."""
    return sum(sum(batch.num_rows for batch in _batches(file, COLUMNS[:1])) for file in files)


def read_rows(files: Sequence[Path]) -> Iterator[EmbeddedPicture]:
    """All rows of all files. Raises InvalidParameter as `count_rows` does."""
    for file in files:
        for batch in _batches(file, COLUMNS):
            for row in batch.to_pylist():
                yield _row(row)


def _row(row: dict[str, Any]) -> EmbeddedPicture:
    picture = row["image_data"]
    content = picture.get("bytes") if isinstance(picture, dict) else picture
    return EmbeddedPicture(
        str(row["caption"] or ""),
        content if isinstance(content, bytes) else None,
        row["image_embeddings"],
        row["text_embeddings"],
    )


def _batches(file: Path, columns: Sequence[str]) -> Iterator["pa.RecordBatch"]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:  # serving needs none of it
        raise InvalidParameter("Reading such a data set needs the package pyarrow: pip install pyarrow") from error
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as table:
                _require(file, table.schema_arrow.names)
                yield from table.iter_batches(ROWS, columns=list(columns))
        else:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                _require(file, stream.schema.names)
                for batch in stream:
                    picked = batch.select(list(columns))
                    yield from (picked.slice(first, ROWS) for first in range(0, picked.num_rows, ROWS))
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{file.name} cannot be read; it may be damaged.") from error


def _require(file: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidParameter(f"{file.name} lacks the columns {', '.join(missing)}.")
