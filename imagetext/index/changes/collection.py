"""What is searched: a published version, with the pictures that were added and deleted since it was built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.changes.records import Addition, Record
from imagetext.index.reader import IndexReader
from imagetext.index.row_search import RowSearch, interleave
from imagetext.index.rows import PictureRow
from imagetext.index.vector_search import SHALLOW, Found, Searcher
from imagetext.wire.errors import NotFound
from imagetext.wire.index import IndexInfo
from imagetext.wire.search_filter import SearchFilter

_MIN_CAPACITY = 64


@dataclass(frozen=True)
class Delta:
    """The pictures added since the version was built: few, so a search compares them one by one.

    Immutable. A longer one shares what both hold, so that adding a picture does not copy the others. `vectors` is
    (size, dimensions) float32.
    """

    vectors: NDArray[np.float32]
    _buffer: NDArray[np.float32]  # begins with `vectors`
    _added: list[Addition]  # may continue after ours

    @classmethod
    def empty(cls, dimensions: int) -> "Delta":
        buffer = np.empty((0, dimensions), dtype=np.float32)
        return cls(buffer, buffer, [])

    @property
    def size(self) -> int:
        return len(self.vectors)

    def addition(self, number: int) -> Addition:
        return self._added[number]

    def extended(self, additions: Sequence[Addition]) -> "Delta":
        """This one with more at its end."""
        if not additions:
            return self
        size, needed = self.size, self.size + len(additions)
        is_longest = len(self._added) == size  # nobody has written after ours yet
        buffer, added = (self._buffer, self._added) if is_longest else (self.vectors.copy(), self._added[:size])
        if len(buffer) < needed:
            grown = np.empty((max(_MIN_CAPACITY, 2 * needed), buffer.shape[1]), dtype=np.float32)
            grown[:size] = self.vectors
            buffer = grown
        buffer[size:needed] = [addition.vector for addition in additions]
        added.extend(additions)
        return Delta(buffer[:needed], buffer, added)


class Collection:
    """One immutable state of the index, an `OpenVersion`. Threads may share it.

    The rows of the version keep their numbers, those of added pictures follow. A row that was deleted or replaced is
    hidden: it is no longer found.
    """

    def __init__(
        self,
        reader: IndexReader,
        position: int,
        delta: Delta | None = None,
        changed_rows: Mapping[str, int | None] | None = None,
        hidden: NDArray[np.int64] | None = None,
    ) -> None:
        """
        Args:
            position: that of the last change that counts.
            changed_rows: the row of each picture that was changed, by its id; None if it was deleted.
            hidden: the rows that are not found, ascending.
        """
        self._reader = reader
        self._delta = delta or Delta.empty(reader.dimensions)
        self._changed_rows = changed_rows or {}
        self._hidden = np.empty(0, dtype=np.int64) if hidden is None else hidden
        self._first_added = reader.info.size
        self._end = self._first_added + self._delta.size
        self._hidden_in_version = int(np.searchsorted(self._hidden, self._first_added))
        self._added_searcher = Searcher(self._delta.vectors)
        self.position = position
        self.images_root = reader.images_root
        self.images_address = reader.images_address
        self.info: IndexInfo = self._info()

    @classmethod
    def of(cls, reader: IndexReader) -> Self:
        """A version as it was built."""
        return cls(reader, reader.merged)

    @property
    def dimensions(self) -> int:
        return self._reader.dimensions

    @property
    def values(self) -> int:
        """As `IndexReader.values`."""
        return self._reader.values + int(self._delta.vectors.size)

    @property
    def additions(self) -> int:
        """How many pictures were added since the version was built, including those that were deleted again."""
        return self._delta.size

    def changed(self, records: Sequence[Record]) -> Self:
        """The state after these changes. A picture of another encoder is not found before the next build."""
        changed_rows, hidden = dict(self._changed_rows), set(self._hidden.tolist())
        added: list[Addition] = []
        for change in (record.change for record in records):
            before = self._row_of(change.id, changed_rows)
            if before is not None:
                hidden.add(before)
            changed_rows[change.id] = None
            if isinstance(change, Addition) and self._is_comparable(change):
                changed_rows[change.id] = self._end + len(added)
                added.append(change)
        rows = np.array(sorted(hidden), dtype=np.int64)
        position = records[-1].position if records else self.position
        return type(self)(self._reader, position, self._delta.extended(added), changed_rows, rows)

    def search(self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `IndexReader.search`, with the same errors; hidden rows in `allowed` are ignored."""
        if not self._changed_rows:
            return self._reader.search(vectors, k, allowed)
        self._reader.check(vectors, k)
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        if allowed is not None:
            allowed = np.setdiff1d(np.asarray(allowed, dtype=np.int64), self._hidden)
            if len(allowed) and (allowed[0] < 0 or allowed[-1] >= self._end):
                raise _not_found()
        old, new = self._search_version(queries, k, allowed), self._search_added(queries, k, allowed)
        scores, rows = np.concatenate([old[0], new[0]], axis=1), np.concatenate([old[1], new[1]], axis=1)
        k = min(k, self.info.size if allowed is None else len(allowed))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """As `IndexReader.matching`, without hidden rows."""
        return np.concatenate([self._shown(self._reader.matching(filter)), self._added_rows.matching(filter)])

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """As `IndexReader.ranked_by_words`. Word frequencies differ between the version and the added pictures, so BM25
        scores cannot be compared, and the two rankings are interleaved."""
        of_version = self._reader.ranked_by_words(text, count + self._hidden_in_version, filter)
        return interleave(self._shown(of_version), self._added_rows.ranked(text, count, filter))[:count]

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """As `IndexReader.score`."""
        added = rows >= self._first_added
        scores = np.empty(len(rows), dtype=np.float32)
        scores[~added] = self._reader.score(vector, rows[~added])
        scores[added] = self._delta.vectors[rows[added] - self._first_added] @ vector
        return scores

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """As `IndexReader.carried`; added pictures have no carried fields."""
        of_version = [row for row in rows if row < self._first_added]
        found = dict(zip(of_version, self._reader.carried(of_version), strict=True))
        return [found.get(row, {}) for row in rows]

    def row(self, row: int) -> PictureRow:
        """The picture of a row. Raises NotFound."""
        return self.pictures([int(row)])[0]

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures of several rows, in this order. Raises NotFound."""
        if self._is_hidden(np.array(rows, dtype=np.int64)).any():
            raise _not_found()
        of_version = [row for row in rows if row < self._first_added]
        found = dict(zip(of_version, self._reader.pictures(of_version), strict=True))
        return [found[row] if row in found else self._added_picture(row) for row in rows]

    def by_id(self, id: str) -> PictureRow:
        """The picture with an id. Raises NotFound."""
        if id not in self._changed_rows:
            return self._reader.by_id(id)
        row = self._changed_rows[id]
        if row is None:
            raise _not_found()
        return self._added_picture(row)

    def rows(self) -> list[PictureRow]:
        """All pictures in the order of their rows."""
        of_version, shown = self._reader.rows(), self._shown_in_version.tolist()
        return [of_version[row] for row in shown] + [self._added_picture(row) for row in self._shown_added.tolist()]

    def vector(self, row: int) -> NDArray[np.float32]:
        """The unit vector (dimensions,) of a row, as a copy. Raises NotFound."""
        vector: NDArray[np.float32] = self.vectors([row])[0]
        return vector

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, as a copy. Raises NotFound."""
        numbers = np.array(rows, dtype=np.int64)
        exists = (numbers >= 0) & (numbers < self._end)
        if not exists.all() or self._is_hidden(numbers).any():
            raise _not_found()
        added = numbers >= self._first_added
        found = np.empty((len(rows), self.dimensions), dtype=np.float32)
        found[~added] = self._reader.vectors(numbers[~added].tolist())
        found[added] = self._delta.vectors[numbers[added] - self._first_added]
        return found

    def close(self) -> None:
        """Close the version's files, which other states may share."""
        self._reader.close()

    def _search_version(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        """At least the k nearest of the version; a hidden row among them scores -inf."""
        if allowed is not None:
            return self._reader.search(queries, k, allowed[allowed < self._first_added])
        if not self._hidden_in_version:
            return self._reader.search(queries, k)
        # More than k because of the hidden ones, but not so many that an approximate search becomes an exact one.
        most = min(k + self._hidden_in_version, self._first_added)
        scores, rows = self._reader.search(queries, min(most, SHALLOW if k <= SHALLOW else 2 * k))
        is_hidden = self._is_hidden(rows)
        if rows.shape[1] < most and (np.count_nonzero(~is_hidden, axis=1) < k).any():
            return self._reader.search(queries, k, self._shown_in_version)
        return np.where(is_hidden, np.float32(-np.inf), scores), rows

    def _search_added(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        rows = self._shown_added if allowed is None else allowed[allowed >= self._first_added]
        if not len(rows):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        scores, found = self._added_searcher.search(queries, min(k, len(rows)), rows - self._first_added)
        return scores, found + self._first_added

    @cached_property
    def _shown_in_version(self) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(self._first_added), self._hidden[: self._hidden_in_version])

    @cached_property
    def _shown_added(self) -> NDArray[np.int64]:
        """The rows of added pictures that can be found, ascending."""
        return np.setdiff1d(np.arange(self._first_added, self._end), self._hidden[self._hidden_in_version :])

    @cached_property
    def _added_rows(self) -> RowSearch:
        """Without hidden ones: a picture that was replaced many times is in it once."""
        return RowSearch.of(map(self._added_picture, self._shown_added.tolist()))

    def _info(self) -> IndexInfo:
        info = self._reader.info
        if self.position == self._reader.merged:
            return info
        return info.model_copy(
            update={
                "version": f"{info.version}+{self.position}",
                "size": self._end - len(self._hidden),
                "added": sum(row is not None for row in self._changed_rows.values()),
                "removed": self._hidden_in_version,
            }
        )

    def _shown(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[~self._is_hidden(rows)]

    def _is_hidden(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(self._hidden):
            return np.zeros(rows.shape, dtype=bool)
        at = np.minimum(np.searchsorted(self._hidden, rows), len(self._hidden) - 1)
        hidden: NDArray[np.bool_] = self._hidden[at] == rows
        return hidden

    def _row_of(self, id: str, changed_rows: Mapping[str, int | None]) -> int | None:
        if id in changed_rows:
            return changed_rows[id]
        try:
            return self._reader.by_id(id).row
        except NotFound:
            return None

    def _is_comparable(self, addition: Addition) -> bool:
        return addition.fingerprint == self._reader.info.fingerprint and addition.vector.shape == (self.dimensions,)

    def _added_picture(self, row: int) -> PictureRow:
        number = row - self._first_added
        if not 0 <= number < self._delta.size:
            raise _not_found()
        return replace(self._delta.addition(number).picture, row=row)


def _not_found() -> NotFound:
    return NotFound("There is no such picture in the index.")
