"""Parquet files with the pictures in a column: bytes, or bytes and path as the package datasets writes them.

A row's path is that of the parquet file, a slash and the number of the row in it, from 0 on, in eight digits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from imagetext.index import SkippedFile
from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.scan import FoundFile
from indexer.sources.source import COLUMNS as CAPTIONS
from indexer.sources.source import Item, captions_in, identity_of
from indexer.sources.store import Store

PICTURES = ("image", "img", "picture", "jpg", "image_bytes", "image_data", "bytes", "content")
_ROWS = 16  # decompressed at once


@dataclass(frozen=True)
class ParquetShard:
    """One parquet file, read page by page. All pictures are read, also those that are not wanted."""

    store: Store
    file: FoundFile

    @property
    def identity(self) -> str:
        return identity_of(self.store.address, [self.file])

    def items(self, wanted: Callable[[FoundFile], bool]) -> Iterator[Item | SkippedFile]:
        pa, pq = _pyarrow()
        try:
            with self.store.open(self.file.path) as opened, pq.ParquetFile(opened, pre_buffer=False) as table:
                pictures, captions = _columns(table.schema_arrow)
                if pictures is None:
                    yield SkippedFile(self.file.path, f"It has no column of pictures ({', '.join(PICTURES)}).")
                    return
                number = 0
                for batch in table.iter_batches(_ROWS, columns=[pictures, *captions]):
                    for row in batch.to_pylist():
                        yield self._item(number, row, pictures, wanted)
                        number += 1
        except (pa.ArrowException, EOFError):
            yield SkippedFile(self.file.path, "The parquet file is damaged; what follows in it is left out.")
        except NotFound as error:
            yield SkippedFile(self.file.path, error.detail)

    def _item(
        self, number: int, row: dict[str, Any], column: str, wanted: Callable[[FoundFile], bool]
    ) -> Item | SkippedFile:
        path = f"{self.file.path}/{number:08}"
        content = row.pop(column)
        if isinstance(content, dict):
            content = content.get("bytes")
        if not isinstance(content, bytes):
            return SkippedFile(path, "The row has no picture in it.")
        found = FoundFile(path, len(content), self.file.mtime_ns)
        if not wanted(found):
            return Item(found, None, captions_in(row))
        return Item(found, lambda: content, captions_in(row), len(content))


def _columns(schema: Any) -> tuple[str | None, list[str]]:
    """The column of pictures, and those of captions."""
    pictures = next((name for name in PICTURES if name in schema.names and _has_bytes(schema.field(name).type)), None)
    return pictures, [name for name in CAPTIONS if name in schema.names and name != pictures]


def _has_bytes(kind: Any) -> bool:
    pa, _ = _pyarrow()
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _has_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidParameter("Reading parquet files needs the package pyarrow: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet
