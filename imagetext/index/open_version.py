"""The one seam between searching and what searches: FAISS over files, or Milvus."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imagetext.index.rows import PictureRow
from imagetext.wire.contracts import IndexInfo
from imagetext.wire.search_filter import SearchFilter


class OpenVersion(Protocol):
    """One published version, open for searching. It never changes, and all threads may share it."""

    info: IndexInfo
    images_root: Path
    images_address: str  # the same as it was given: the root may be in an object store

    @property
    def dimensions(self) -> int: ...

    @property
    def numbers(self) -> float:
        """How many numbers an exact search looks at in this process; infinite where it waits for another one."""

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The `k` nearest rows of each query, best first; fewer when fewer are there or allowed.

        Args:
            vectors: (n, dimensions) float32, unit rows.
            allowed: the rows that may be found, each once, in any order; None: all of them.

        Returns:
            Cosine similarities (n, k) float32 and row numbers (n, k) int64.

        Raises:
            InvalidParameter: `k` is not positive, or a query is not a row of finite numbers.
            NotFound: there is no such row as one of those allowed.
            IndexVersionError: the queries have another length than the vectors of this index.
            Unavailable: what searches does not answer.
        """

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """The rows (n,) that pass a filter, as `search` takes them in `allowed`. Raises InvalidParameter where what is
        asked for is not kept."""

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """Up to `count` rows (n,) whose captions, tags or path have words of the text, best first, by BM25. Raises
        InvalidParameter where words are not kept."""

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine similarities (n,) of a unit vector (dimensions,) with rows (n,) that are there."""

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures of several rows, in this order. Raises NotFound or Unavailable."""

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """What came with each of several rows from another collection; empty where nothing did."""

    def by_id(self, id: str) -> PictureRow:
        """The picture with an id. Raises NotFound or Unavailable."""

    def vector(self, row: int) -> NDArray[np.float32]:
        """The unit vector (dimensions,) of a row, as a copy. Raises NotFound or Unavailable."""

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, as a copy. Raises NotFound or Unavailable."""

    def close(self) -> None:
        """Let go of what it holds. Only after the last search has ended."""
