"""A version's files into a new collection of Milvus."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imagetext.errors import IndexVersionError
from imagetext.index.kinds import cells_for
from imagetext.index.manifest import MANIFEST, VECTORS, Manifest, read_manifest
from imagetext.index.milvus_connection import CALL_SECONDS
from imagetext.index.milvus_fields import MANIFEST_PROPERTY, VECTOR, schema_of, to_entity
from imagetext.index.milvus_reader import FLAT, MilvusReader
from imagetext.index.milvus_store import LOAD_SECONDS, WRITE_SECONDS, MilvusStore
from imagetext.index.reader import IndexReader

_BATCH = 2_000  # rows; 4 MB where a vector has 512 numbers
_COMPARED = 16  # rows that are read back


def load(
    store: MilvusStore,
    folder: Path,
    index_type: str = FLAT,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Write a version's folder into a new collection of its own, and read some of it back; it is not published yet.

    Args:
        folder: of a version that was verified.
        progress: is told of rows as they are written.

    Raises:
        IndexVersionError: what is read back is not what was written.
    """
    manifest = read_manifest(folder)
    collection = store.collection_of(manifest.version)
    if store.current() == manifest.version:
        raise IndexVersionError(f"Index version {manifest.version} is in use in {store.address}; it stays.")
    with store.connection.reached():
        client = store.connection.client
        _create(client, collection, manifest, (folder / MANIFEST).read_text("ascii"))
        for entities in _batches(folder):
            client.insert(collection, entities, timeout=WRITE_SECONDS)
            progress(len(entities))
        client.flush(collection, timeout=LOAD_SECONDS)
        _add_indexes(client, collection, index_type, manifest.size)
    _compare(folder, store.open(manifest.version))


def _create(client: Any, collection: str, manifest: Manifest, text: str) -> None:
    import pymilvus

    if client.has_collection(collection, CALL_SECONDS):
        client.drop_collection(collection, timeout=WRITE_SECONDS)  # of a push that broke off
    client.create_collection(
        collection,
        schema=schema_of(pymilvus, manifest.encoder.dimensions),
        properties={MANIFEST_PROPERTY: text},
        consistency_level="Eventually",  # it is never written again, and the last rows are waited for
        timeout=WRITE_SECONDS,
    )


def _add_indexes(client: Any, collection: str, index_type: str, size: int) -> None:
    """Waits until that of the vectors is built."""
    ids, vectors = client.prepare_index_params(), client.prepare_index_params()
    ids.add_index("id", index_name="id", index_type="INVERTED")
    client.create_index(collection, ids, timeout=LOAD_SECONDS, sync=False)
    parameters = _parameters(index_type, size)
    vectors.add_index(VECTOR, index_name=VECTOR, index_type=index_type, metric_type="IP", params=parameters)
    client.create_index(collection, vectors, timeout=LOAD_SECONDS)


def _compare(folder: Path, reader: MilvusReader) -> None:
    written = IndexReader.open(folder)
    try:
        rows = np.linspace(0, written.info.size - 1, _COMPARED).astype(int).tolist()
        vectors = np.stack([written.vector(row) for row in rows])
        same = np.allclose(reader.vectors(rows), vectors, atol=1e-6)
        if not same or reader.pictures(rows) != written.pictures(rows):
            raise IndexVersionError(f"Rows of index version {written.info.version} came back changed.")
    finally:
        written.close()


def _batches(folder: Path) -> Iterator[list[dict[str, Any]]]:
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    reader = IndexReader.open(folder)
    try:
        for start in range(0, len(vectors), _BATCH):
            rows = reader.pictures(range(start, min(start + _BATCH, len(vectors))))
            yield [to_entity(row, np.array(vectors[row.row])) for row in rows]
    finally:
        reader.close()


def _parameters(index_type: str, size: int) -> dict[str, int]:
    if index_type == "IVF_FLAT":
        return {"nlist": cells_for(size)}
    return {"M": 32, "efConstruction": 200} if index_type == "HNSW" else {}
