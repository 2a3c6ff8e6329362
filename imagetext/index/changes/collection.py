"""What is searched: a published version, with the pictures that came and went since it was built."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.changes.overlay import Delta, Overlay
from imagetext.index.changes.records import Addition, Record
from imagetext.index.reader import IndexReader
from imagetext.index.row_search import RowSearch
from imagetext.index.rows import PictureRow
from imagetext.index.searcher import Found, taking_turns
from imagetext.wire.contracts import IndexInfo
from imagetext.wire.errors import NotFound
from imagetext.wire.search_filter import SearchFilter


class Collection:
    """A state of the index that never changes, and answers all that an `IndexReader` answers.

    The rows of the version keep their numbers; those of added pictures follow. A row that was deleted, or has another
    in its place, is found no more.
    """

    def __init__(
        self,
        reader: IndexReader,
        position: int,
        delta: Delta | None = None,
        places: Mapping[str, int | None] | None = None,
        hidden: NDArray[np.int64] | None = None,
    ) -> None:
        """
        Args:
            position: of the last change that counts.
            places: the row of each picture that was changed, by its id; None where it is gone.
            hidden: the rows that are not found, ascending.
        """
        self._reader = reader
        self._delta = delta or Delta.empty(reader.dimensions)
        self._places = places or {}
        self._hidden = np.empty(0, dtype=np.int64) if hidden is None else hidden
        self._overlay = Overlay(reader, self._delta, self._hidden)
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
    def numbers(self) -> int:
        """As `IndexReader.numbers`."""
        return self._reader.numbers + int(self._delta.vectors.size)

    @property
    def additions(self) -> int:
        """How many pictures were added since the version was built, those included that have gone again."""
        return self._delta.size

    def changed(self, records: Sequence[Record]) -> Self:
        """The state after these changes. A picture of another encoder is kept for the next build, and not found."""
        places, hidden = dict(self._places), set(self._hidden.tolist())
        added: list[Addition] = []
        for change in (record.change for record in records):
            before = self._row_of(change.id, places)
            if before is not None:
                hidden.add(before)
            places[change.id] = None
            if isinstance(change, Addition) and self._can_compare(change):
                places[change.id] = self._overlay.first_added + self._delta.size + len(added)
                added.append(change)
        rows = np.array(sorted(hidden), dtype=np.int64)
        position = records[-1].position if records else self.position
        return type(self)(self._reader, position, self._delta.extended(added), places, rows)

    def search(self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `IndexReader.search`, with the same errors; rows in `allowed` that are not found any more are left out."""
        if not self._places:
            return self._reader.search(vectors, k, allowed)
        return self._overlay.search(vectors, k, allowed)

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """As `IndexReader.matching`, without hidden rows."""
        return np.concatenate([self._shown(self._reader.matching(filter)), self._added_rows.matching(filter)])

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """As `IndexReader.ranked_by_words`. The frequencies of words are those of the version and of the added pictures
        apart, so their ranks count and not their scores: the two take turns."""
        hidden = self._overlay.hidden_in_version
        of_version = self._shown(self._reader.ranked_by_words(text, count + hidden, filter))
        return taking_turns(of_version, self._added_rows.ranked(text, count, filter))[:count]

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """As `IndexReader.score`."""
        added = rows >= self._overlay.first_added
        scores = np.empty(len(rows), dtype=np.float32)
        scores[~added] = self._reader.score(vector, rows[~added])
        scores[added] = self._delta.vectors[rows[added] - self._overlay.first_added] @ vector
        return scores

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """As `IndexReader.carried`; nothing comes with added pictures."""
        of_version = [row for row in rows if row < self._overlay.first_added]
        found = dict(zip(of_version, self._reader.carried(of_version), strict=True))
        return [found.get(row, {}) for row in rows]

    def row(self, row: int) -> PictureRow:
        """The picture of a row. Raises NotFound."""
        return self.pictures([int(row)])[0]

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures of several rows, in this order. Raises NotFound."""
        if any(self._overlay.hides(row) for row in rows):
            raise _not_found()
        of_version = [row for row in rows if row < self._overlay.first_added]
        found = dict(zip(of_version, self._reader.pictures(of_version), strict=True))
        return [found[row] if row in found else self._added(row) for row in rows]

    def by_id(self, id: str) -> PictureRow:
        """The picture with an id. Raises NotFound."""
        if id not in self._places:
            return self._reader.by_id(id)
        row = self._places[id]
        if row is None:
            raise _not_found()
        return self._added(row)

    def rows(self) -> list[PictureRow]:
        """All pictures in the order of their rows."""
        kept = [picture for picture in self._reader.rows() if not self._overlay.hides(picture.row)]
        added = range(self._overlay.first_added, self._overlay.first_added + self._delta.size)
        return kept + [self._added(row) for row in added if not self._overlay.hides(row)]

    def vector(self, row: int) -> NDArray[np.float32]:
        """The unit vector (dimensions,) of a row, as a copy. Raises NotFound."""
        if self._overlay.hides(row):
            raise _not_found()
        return self._reader.vector(row) if row < self._overlay.first_added else self._addition(row).vector.copy()

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, as a copy. Raises NotFound."""
        numbers = np.array(rows, dtype=np.int64)
        is_there = (numbers >= 0) & (numbers < self._overlay.first_added + self._delta.size)
        if not is_there.all() or np.isin(numbers, self._hidden).any():
            raise _not_found()
        added = numbers >= self._overlay.first_added
        found = np.empty((len(rows), self.dimensions), dtype=np.float32)
        found[~added] = self._reader.vectors(numbers[~added].tolist())
        found[added] = self._delta.vectors[numbers[added] - self._overlay.first_added]
        return found

    @cached_property
    def _added_rows(self) -> RowSearch:
        """Without those that are hidden: a picture that was replaced again and again is there once."""
        return RowSearch.of(self._added(row) for row in self._overlay.shown_added.tolist())

    def _shown(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[~np.isin(rows, self._hidden)]

    def close(self) -> None:
        """Let go of the version's files, which other states of it may share."""
        self._reader.close()

    def _info(self) -> IndexInfo:
        info = self._reader.info
        if self.position == self._reader.merged:
            return info
        return info.model_copy(
            update={
                "version": f"{info.version}+{self.position}",
                "size": self._overlay.size,
                "added": sum(row is not None for row in self._places.values()),
                "removed": self._overlay.hidden_in_version,
            }
        )

    def _row_of(self, id: str, places: Mapping[str, int | None]) -> int | None:
        if id in places:
            return places[id]
        try:
            return self._reader.by_id(id).row
        except NotFound:
            return None

    def _can_compare(self, addition: Addition) -> bool:
        return addition.fingerprint == self._reader.info.fingerprint and addition.vector.shape == (self.dimensions,)

    def _added(self, row: int) -> PictureRow:
        return replace(self._addition(row).picture, row=row)

    def _addition(self, row: int) -> Addition:
        number = row - self._overlay.first_added
        if not 0 <= number < self._delta.size:
            raise _not_found()
        return self._delta.addition(number)


def _not_found() -> NotFound:
    return NotFound("There is no such picture in the index.")
