"""A version in Milvus, searched through the same interface as one in files."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imagetext.index.kinds import cells_for
from imagetext.index.manifest import Manifest
from imagetext.index.reader import info_of
from imagetext.index.remote.milvus_rows import (
    CALL_SECONDS,
    ENTITY,
    ROW,
    VECTOR,
    MilvusConnection,
    is_not_loaded,
    row_filter,
    to_row,
)
from imagetext.index.rows import PictureRow
from imagetext.wire.errors import IndexVersionError, InvalidParameter, NotFound
from imagetext.wire.search_filter import SearchFilter

T = TypeVar("T")

FLAT = "FLAT"
MAX_RESULTS = 16_384  # of one search: a limit of Milvus
SHALLOW = 128  # approximate indexes are asked for at least so many results, so that pages continue one another
_BATCH = 1_000
_VECTORS_ALONE = "An index in Milvus cannot be searched by words or metadata: omit `filter` and `hybrid`."
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")  # what an expression may contain


class MilvusReader:
    """One collection, an `OpenVersion`. Scores are inner products of the original vectors; an index of the type FLAT
    gives the results of exact search."""

    values = math.inf

    def __init__(self, connection: MilvusConnection, collection: str, manifest: Manifest, index_type: str) -> None:
        self._connection = connection
        self._collection = collection
        self._index_type = index_type
        self.images_root = Path(manifest.images_root)
        self.images_address = manifest.images_root
        self.dimensions = manifest.encoder.dimensions
        kind = f"milvus-{index_type.lower().replace('_', '-')}"
        # The measurements are those of another index on another machine.
        unmeasured = dict.fromkeys(("recall", "queries_per_second", "exact_queries_per_second", "memory_bytes"))
        self.info = info_of(manifest).model_copy(update={"kind": kind, **unmeasured})

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `OpenVersion.search`, with at most `MAX_RESULTS` results.

        Raises:
            InvalidParameter: also if the allowed rows are too many and too scattered for an expression.
        """
        queries = self._checked(vectors, k)
        if allowed is None:
            return self._search(queries, min(k, self.info.size, MAX_RESULTS), "")
        allowed = np.ascontiguousarray(allowed, dtype=np.int64)
        if len(allowed) and (allowed.min() < 0 or allowed.max() >= self.info.size):
            raise NotFound("There is no such picture in the index.")
        if not len(allowed):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        return self._search(queries, min(k, len(allowed), MAX_RESULTS), row_filter(allowed))

    def matching(self, filter: SearchFilter) -> NDArray[np.int64]:
        raise InvalidParameter(_VECTORS_ALONE)

    def ranked_by_words(self, text: str, count: int, filter: SearchFilter | None = None) -> NDArray[np.int64]:
        raise InvalidParameter(_VECTORS_ALONE)

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.vectors(rows.tolist()) @ vector
        return scores

    def pictures(self, rows: Sequence[int]) -> list[PictureRow]:
        found = self._by_row(rows, ENTITY)
        return [to_row(found[row]) for row in rows]

    def carried(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [{} for _ in rows]  # they are not written to Milvus

    def by_id(self, id: str) -> PictureRow:
        found = self._query(f'id == "{id}"') if _ID.fullmatch(id) else []
        if not found:
            raise NotFound("There is no such picture in the index.")
        return to_row(found[0])

    def vector(self, row: int) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.vectors([row])[0]
        return vector

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The unit vectors (n, dimensions) of several rows, in this order. Raises NotFound or Unavailable."""
        found = self._by_row(rows, [ROW, VECTOR])
        vectors = np.array([found[row][VECTOR] for row in rows], dtype=np.float32)
        return vectors.reshape(len(rows), self.dimensions)

    def close(self) -> None:
        """The collection stays loaded: other replicas may search it."""

    def _checked(self, vectors: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        if k < 1:
            raise InvalidParameter(f"The number of results must be a positive integer, not {k}.")
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dimensions:
            raise IndexVersionError("The query was made by another encoder than this index.")
        if not np.isfinite(queries).all():
            raise InvalidParameter("The embedding of the query contains NaN or infinity.")
        return queries

    def _search(
        self, queries: NDArray[np.float32], k: int, expression: str
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        limit = k if self._index_type == FLAT else min(max(k, SHALLOW), MAX_RESULTS)
        found = self._ask(
            lambda client: client.search(
                self._collection,
                data=list(queries),
                anns_field=VECTOR,
                limit=limit,
                filter=expression,
                output_fields=[ROW],
                search_params={"metric_type": "IP", "params": self._effort(limit)},
                timeout=CALL_SECONDS,
            )
        )
        width = min(k, *(len(hits) for hits in found)) if len(found) else 0
        scores = [[hit["distance"] for hit in hits[:width]] for hits in found]
        rows = [[hit[ROW] for hit in hits[:width]] for hits in found]
        shape = (len(queries), width)
        return np.array(scores, np.float32).reshape(shape), np.array(rows, np.int64).reshape(shape)

    def _effort(self, limit: int) -> dict[str, int]:
        """How thoroughly to search: by default, Milvus visits 8 cells, however many there are."""
        if self._index_type == "IVF_FLAT":
            return {"nprobe": max(16, cells_for(self.info.size) // 8)}
        return {"ef": max(limit, 256)} if self._index_type == "HNSW" else {}

    def _by_row(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        unique = list(dict.fromkeys(map(int, rows)))
        for start in range(0, len(unique), _BATCH):
            entities = self._get(unique[start : start + _BATCH], fields)
            found.update({entity[ROW]: entity for entity in entities})
        if len(found) < len(unique):
            raise NotFound("There is no such picture in the index.")
        return found

    def _get(self, rows: list[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        if min(rows) < 0 or max(rows) >= self.info.size:
            raise NotFound("There is no such picture in the index.")
        return self._ask(lambda client: list(client.get(self._collection, rows, list(fields), timeout=CALL_SECONDS)))

    def _query(self, expression: str) -> list[dict[str, Any]]:
        return self._ask(
            lambda client: list(client.query(self._collection, expression, list(ENTITY), CALL_SECONDS, limit=1))
        )

    def _ask(self, call: Callable[[Any], T]) -> T:
        with self._connection.reached():
            client = self._connection.client
            try:
                return call(client)
            except Exception as error:
                if not is_not_loaded(error):
                    raise
                client.load_collection(self._collection, timeout=CALL_SECONDS)
                return call(client)
