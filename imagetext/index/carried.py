"""What came with pictures from another collection, in a table of its own in rows.sqlite: kept to be handed on."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imagetext.index.rows import RowFile
from imagetext.wire.errors import IndexVersionError

Carried = Iterable[tuple[int, Mapping[str, Any]]]
"""The number of a row, and its fields as JSON can say them; rows with which nothing came are left out."""

_CREATE = "CREATE TABLE carried (row INTEGER PRIMARY KEY, fields TEXT NOT NULL)"
_IS_THERE = "SELECT count(*) FROM sqlite_master WHERE name = 'carried'"


def write_carried(path: Path, carried: Carried) -> None:
    """Add the table to a new file of rows. Raises IndexVersionError when the disk is full."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # half a file is thrown away, never recovered
        connection.execute(_CREATE)
        texts = ((row, json.dumps(dict(fields))) for row, fields in carried)
        connection.executemany("INSERT INTO carried VALUES (?, ?)", texts)
        connection.commit()
    except sqlite3.Error as error:
        raise IndexVersionError(f"{path.name} cannot be written; the disk may be full.") from error
    finally:
        connection.close()


class CarriedTable:
    """Read-only; may be used by several threads at once, and after the file was removed."""

    def __init__(self, path: Path) -> None:
        """Raises IndexVersionError when `path` is no file of rows."""
        self._file = RowFile.open(path)
        try:
            self._is_there = bool(self._file.fetch(_IS_THERE)[0][0])
        except IndexVersionError:
            self._file.close()
            raise

    def of(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The fields of each of several rows, in this order; empty where there are none."""
        if not self._is_there:
            return [{} for _ in rows]
        marks = ",".join("?" * len(rows))
        found = dict(self._file.fetch(f"SELECT row, fields FROM carried WHERE row IN ({marks})", *rows))
        try:
            return [json.loads(found.get(row, "{}")) for row in rows]
        except ValueError as error:
            raise self._file.damaged() from error

    def close(self) -> None:
        self._file.close()
