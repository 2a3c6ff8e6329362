"""The merged format: a folder with `Images/` and one table, `pictures.parquet`, with a row for every picture."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from imagetext.errors import InvalidParameter
from training.data.record import Record

TABLE = "pictures.parquet"
VERSION = b"1"  # of the format; another one is refused

_KEY = b"imagetext.pictures"
_TYPES = {"captions": pa.list_(pa.string()), "width": pa.int32(), "height": pa.int32()}
SCHEMA = pa.schema(
    [pa.field(field.name, _TYPES.get(field.name, pa.string()), nullable=False) for field in fields(Record)],
    metadata={_KEY: VERSION},
)


def is_merged(folder: Path) -> bool:
    """Whether `folder` holds a data set in the merged format."""
    return (folder / TABLE).is_file()


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Replace the table of `folder`, all or nothing. The order of the records is kept.

    Raises:
        InvalidParameter: two records have the same path.
    """
    rows = [asdict(record) for record in records]
    [(path, times)] = Counter(row["path"] for row in rows).most_common(1) or [("", 1)]
    if times > 1:
        raise InvalidParameter(f"{times} records have the path {path}.")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{TABLE}.part"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), unfinished)
    os.replace(unfinished, folder / TABLE)


def read_records(folder: Path) -> list[Record]:
    """All records of a merged data set, in the order of its table.

    Raises:
        InvalidParameter: there is no table, it cannot be read or is of another version, or a record is impossible.
    """
    if not is_merged(folder):
        raise InvalidParameter(f"{folder} holds no {TABLE}.")
    try:
        table = pq.read_table(folder / TABLE)
    except (pa.ArrowException, OSError) as error:
        raise InvalidParameter(f"{folder / TABLE} cannot be read; it may be damaged.") from error
    if (table.schema.metadata or {}).get(_KEY) != VERSION or not table.schema.equals(SCHEMA):
        raise InvalidParameter(f"{folder / TABLE} is not a table of this version of the merged format.")
    return [Record(**{**row, "captions": tuple(row["captions"])}) for row in table.to_pylist()]
