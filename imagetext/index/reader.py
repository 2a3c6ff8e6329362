"""An open index version in files: search it and look up its pictures. Read-only, so threads may share it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imagetext.index.kinds import FLAT
from imagetext.index.manifest import FAISS_INDEX, ROWS, VECTORS, Manifest, check_sizes, read_manifest
from imagetext.index.manifest import verify as verify_checksums
from imagetext.index.row_search import RowSearch
from imagetext.index.row_tables import RowTable
from imagetext.index.rows import PictureRow
from imagetext.index.vector_search import Candidates, Found, Searcher, faiss_path, open_candidates
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound
from imagetext.wire.index import IndexInfo
from imagetext.wire.search_filter import SearchFilter


class IndexReader:
    """One memory-mapped version, an `OpenVersion`. It stays usable when its folder is removed, until it is closed."""

    def __init__(
        self,
        manifest: Manifest,
        candidates: Candidates | None,
        vectors: NDArray[np.float32],
        rows: RowTable,
        row_search: RowSearch,
    ) -> None:
        self._searcher = Searcher(vectors, candidates, manifest.effort)
        self._vectors = vectors
        self._rows = rows
        self._row_search = row_search
        self.images_address = manifest.images_root
        self.images_root = Path(manifest.images_root)
        self.merged = manifest.merged or 0  # the position of the last change in the journal that this version holds
        self.info = info_of(manifest)

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> Self:
        """Open a version's folder; `verify` also reads every byte and compares the checksums.

        Raises:
            IndexVersionError: missing, damaged or of another format.
        """
        if verify:
            manifest = verify_checksums(folder)
        else:
            manifest = read_manifest(folder)
            check_sizes(folder, manifest)
        vectors = _open_vectors(folder, manifest)
        candidates = _open_candidates(folder, manifest)
        rows = RowTable(folder / ROWS)
        if rows.size != manifest.size:
            rows.close()
            raise _disagrees(ROWS, manifest)
        return cls(manifest, candidates, vectors, rows, RowSearch.open(folder / ROWS))

    @property
    def dimensions(self) -> int:
        return int(self._vectors.shape[1])

    @property
    def values(self) -> int:
        """Size times dimensions; an exact search reads all of them."""
        return int(self._vectors.size)

    def search(self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """As `OpenVersion.search`; never raises Unavailable.

        Scores are exact in every kind of index. An approximate one may miss rows if `k` is small (`SHALLOW` in
        vector_search.py); if it is large, or few rows are allowed, every vector is compared.
        """
        self.check(vectors, k)
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        if allowed is None:
            return self._searcher.search(queries, min(k, self.info.size))
        allowed = np.ascontiguousarray(allowed, dtype=np.int64)
        if len(allowed) and (allowed.min() < 0 or allowed.max() >= self.info.size):
            raise _not_found()
        return self._searcher.search(queries, min(k, len(allowed)), allowed)

    def check(self, vectors: NDArray[np.float32], k: int) -> None:
        """Raises InvalidParameter or IndexVersionError unless `search` accepts these."""
        if k < 1:
            raise InvalidParameter(f"The number of results must be a positive integer, not {k}.")
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions:
            raise IndexVersionError("The query was made by another encoder than this index.")
        if not np.isfinite(vectors).all():
            raise InvalidParameter("The embedding of the query contains NaN or infinity.")

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        """The rows (n,) that pass a filter, as `search` takes them in `allowed`."""
        return self._row_search.matching(filter)

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        """Up to `count` rows (n,) whose captions, tags or path have words of the text, best first, by BM25."""
        return self._row_search.ranked(text, count, filter)

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine similarities (n,) of a unit vector (dimensions,) with existing rows (n,)."""
        scores: NDArray[np.float32] = self._vectors[rows] @ vector
        return scores

    def row(self, row: int) -> PictureRow:
        """The picture of a row. Raises NotFound."""
        return self._rows.by_row(int(row))  # SQLite takes no integers of NumPy

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures of several rows, in this order. Raises NotFound."""
        return self._rows.by_rows(rows)

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The carried fields of several rows, in this order; empty where there are none."""
        return self._rows.carried(rows)

    def by_id(self, id: str) -> PictureRow:
        """The picture with an id. Raises NotFound."""
        return self._rows.by_id(id)

    def rows(self) -> list[PictureRow]:
        """All pictures in the order of their rows: that of their paths, or of the collection that was imported."""
        return self._rows.all()

    def vector(self, row: int) -> NDArray[np.float32]:
        """The unit vector (dimensions,) of a row, as a copy. Raises NotFound."""
        if not 0 <= row < self.info.size:
            raise _not_found()
        return np.array(self._vectors[row])

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, as a copy. Raises NotFound."""
        if len(rows) and not 0 <= min(rows) <= max(rows) < self.info.size:
            raise _not_found()
        return np.array(self._vectors[np.array(rows, dtype=np.int64)])

    def close(self) -> None:
        """Close the files. Only after the last search has ended."""
        self._rows.close()
        self._row_search.close()


def info_of(manifest: Manifest) -> IndexInfo:
    """What the API shows of a version."""
    measured = manifest.measured
    return IndexInfo(
        version=manifest.version,
        size=manifest.size,
        kind=manifest.kind,
        encoder=manifest.encoder.name,
        fingerprint=manifest.encoder.fingerprint,
        created=manifest.created,
        skipped=manifest.skipped,
        recall=None if measured is None else measured.recall,
        queries_per_second=None if measured is None else measured.queries_per_second,
        exact_queries_per_second=None if measured is None else measured.exact_queries_per_second,
        memory_bytes=None if measured is None else measured.memory_bytes,
    )


def _open_vectors(folder: Path, manifest: Manifest) -> NDArray[np.float32]:
    try:
        vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as a Python literal, which can raise anything
        raise IndexVersionError(f"{VECTORS} of index version {manifest.version} is damaged.") from error
    if vectors.shape != (manifest.size, manifest.encoder.dimensions) or vectors.dtype != np.float32:
        raise _disagrees(VECTORS, manifest)
    return vectors  # type: ignore[no-any-return]  # numpy's stubs cannot know the dtype of a file


def _open_candidates(folder: Path, manifest: Manifest) -> Candidates | None:
    """None for exact search, which needs only the vectors."""
    if manifest.kind == FLAT:
        return None
    candidates = open_candidates(faiss_path(folder), manifest.version)
    if candidates.shape != (manifest.size, manifest.encoder.dimensions):
        raise _disagrees(FAISS_INDEX, manifest)
    return candidates


def _disagrees(name: str, manifest: Manifest) -> IndexVersionError:
    return IndexVersionError(f"{name} of index version {manifest.version} does not agree with the manifest.")


def _not_found() -> NotFound:
    return NotFound("There is no such picture in the index.")
