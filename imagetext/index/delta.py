"""The pictures that were added since the version was built: few, and searched one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagetext.index.changes import Addition

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
