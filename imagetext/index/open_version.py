"""The interface between searching and what searches: FAISS over files, or Milvus."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imagetext.index.rows import PictureRow
from imagetext.wire.index import IndexInfo
from imagetext.wire.search_filter import SearchFilter


class OpenVersion(Protocol):
    """One published version, open for searching. It never changes, and threads may share it."""

    info: IndexInfo
    images_root: Path
    images_address: str  # `images_root` as it was given: it may be in an object store

    @property
    def dimensions(self) -> int: ...

    @property
    def values(self) -> float:
        """How many values an exact search reads in this process; infinite if another process searches."""

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The `k` nearest rows of each query, best first; fewer if fewer exist or are allowed.

        Args:
            vectors: (n, dimensions) float32, unit rows.
            allowed: the rows that may be found, each once, in any order; None: all of them.

        Returns:
            Cosine similarities (n, k) float32 and row numbers (n, k) int64.

        Raises:
            InvalidParameter: `k` is not positive, or a query contains NaN or infinity.
            NotFound: one of the allowed rows does not exist.
            IndexVersionError: the queries have another length than the vectors of this index.
            Unavailable: the search engine does not answer.
        """

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """The rows (n,) that pass a filter, as `search` takes them in `allowed`. Raises InvalidParameter if this index
        has no metadata."""

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """Up to `count` rows (n,) whose captions, tags or path have words of the text, best first, by BM25. Raises
        InvalidParameter if this index has no words."""

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine similarities (n,) of a unit vector (dimensions,) with existing rows (n,)."""

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures of several rows, in this order. Raises NotFound or Unavailable."""

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The fields that came with each of several rows from another collection; empty where there are none."""

    def by_id(self, id: str) -> PictureRow:
        """The picture with an id. Raises NotFound or Unavailable."""

    def vector(self, row: int) -> NDArray[np.float32]:
        """The unit vector (dimensions,) of a row, as a copy. Raises NotFound or Unavailable."""

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, as a copy. Raises NotFound or Unavailable."""

    def close(self) -> None:
        """Close files and connections. Only after the last search has ended."""
