"""The rows of a version to come, on the disk: a collection may be larger than the memory."""

import json
import pickle
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from imagetext.index import PictureRow

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
