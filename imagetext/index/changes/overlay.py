"""The pictures that were added since the version was built: few, and searched one by one.

Search over a version and the pictures added since, without the rows that are hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imagetext.index.changes.records import Addition
from imagetext.index.reader import IndexReader
from imagetext.index.searcher import SHALLOW, Found, Searcher
from imagetext.wire.errors import NotFound

_LEAST_ROWS = 64


@dataclass(frozen=True)
class Delta:
    """Never changed; a longer one shares what both hold, so that adding a picture does not copy the others.

    `vectors` is (size, dimensions) float32.
    """

    vectors: NDArray[np.float32]
    _room: NDArray[np.float32]  # begins with `vectors`
    _added: list[Addition]  # may go on behind ours

    @classmethod
    def empty(cls, dimensions: int) -> "Delta":
        room = np.empty((0, dimensions), dtype=np.float32)
        return cls(room, room, [])

    @property
    def size(self) -> int:
        return len(self.vectors)

    def addition(self, number: int) -> Addition:
        return self._added[number]

    def extended(self, additions: Sequence[Addition]) -> "Delta":
        """This one with more behind it."""
        if not additions:
            return self
        size, needed = self.size, self.size + len(additions)
        alone = len(self._added) == size  # nobody has written behind ours yet
        room, added = (self._room, self._added) if alone else (self.vectors.copy(), self._added[:size])
        if len(room) < needed:
            grown = np.empty((max(_LEAST_ROWS, 2 * needed), room.shape[1]), dtype=np.float32)
            grown[:size] = self.vectors
            room = grown
        room[size:needed] = [addition.vector for addition in additions]
        added.extend(additions)
        return Delta(room[:needed], room, added)


class Overlay:
    """Rows of the version keep their numbers, those of the delta follow. Never changed; all threads may share it."""

    def __init__(self, reader: IndexReader, delta: Delta, hidden: NDArray[np.int64]) -> None:
        """`hidden`: the rows that are not found, ascending."""
        self._reader = reader
        self._delta = delta
        self._hidden = hidden
        self._added = Searcher(delta.vectors, None, None)
        self.first_added = reader.info.size
        self.hidden_in_version = int(np.searchsorted(hidden, self.first_added))

    @property
    def size(self) -> int:
        """How many rows can be found."""
        return self.first_added + self._delta.size - len(self._hidden)

    def hides(self, row: int) -> bool:
        at = int(np.searchsorted(self._hidden, row))
        return at < len(self._hidden) and int(self._hidden[at]) == row

    def search(self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `IndexReader.search`; rows in `allowed` that are hidden are left out."""
        self._reader.check(vectors, k)
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        if allowed is not None:
            allowed = np.setdiff1d(np.asarray(allowed, dtype=np.int64), self._hidden)
            if len(allowed) and (allowed[0] < 0 or allowed[-1] >= self.first_added + self._delta.size):
                raise NotFound("There is no such picture in the index.")
        old, new = self._in_version(queries, k, allowed), self._in_delta(queries, k, allowed)
        scores, rows = np.concatenate([old[0], new[0]], axis=1), np.concatenate([old[1], new[1]], axis=1)
        k = min(k, self.size if allowed is None else len(allowed))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def _in_version(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        """The k nearest at least; a hidden row among them scores -inf."""
        if allowed is not None:
            return self._reader.search(queries, k, allowed[allowed < self.first_added])
        if not self.hidden_in_version:
            return self._reader.search(queries, k)
        # Some more than k, but an approximate search is not to become an exact one by that.
        most = min(k + self.hidden_in_version, self.first_added)
        scores, rows = self._reader.search(queries, min(most, SHALLOW if k <= SHALLOW else 2 * k))
        places = np.minimum(np.searchsorted(self._hidden, rows), len(self._hidden) - 1)
        gone = self._hidden[places] == rows
        if rows.shape[1] < most and (np.count_nonzero(~gone, axis=1) < k).any():
            return self._reader.search(queries, k, self._kept)
        return np.where(gone, np.float32(-np.inf), scores), rows

    def _in_delta(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None) -> Found:
        rows = self.shown_added if allowed is None else allowed[allowed >= self.first_added]
        if not len(rows):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        scores, found = self._added.search(queries, min(k, len(rows)), rows - self.first_added)
        return scores, found + self.first_added

    @cached_property
    def _kept(self) -> NDArray[np.int64]:
        """The rows of the version that can be found."""
        return np.setdiff1d(np.arange(self.first_added), self._hidden[: self.hidden_in_version])

    @cached_property
    def shown_added(self) -> NDArray[np.int64]:
        """The rows of added pictures that can be found, ascending."""
        added = np.arange(self.first_added, self.first_added + self._delta.size)
        return np.setdiff1d(added, self._hidden[self.hidden_in_version :])
