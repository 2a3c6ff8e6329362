"""The versions of an index in Milvus: a collection each, and an alias for the published one. `load` writes one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imagetext.index.kinds import cells_for
from imagetext.index.manifest import MANIFEST, VECTORS, Manifest, parse_manifest, read_manifest
from imagetext.index.reader import IndexReader
from imagetext.index.remote.milvus_reader import FLAT, MilvusReader
from imagetext.index.remote.milvus_rows import (
    CALL_SECONDS,
    MANIFEST_PROPERTY,
    VECTOR,
    MilvusConnection,
    has_code,
    schema_of,
    to_entity,
)
from imagetext.wire.errors import IndexVersionError

LOAD_SECONDS = 3_600.0  # for a large collection into the memory of its nodes
WRITE_SECONDS = 60.0
_ALIAS_NOT_FOUND = (1_600, 100)  # a server's code, and Milvus Lite's
_BATCH = 2_000  # rows; 4 MB if a vector has 512 dimensions
_SAMPLED = 16  # rows that are read back
_COLLECTION = re.compile(r"(\d{8}T\d{6}Z)_([0-9a-f]{6})")


class MilvusStore:
    """Thread-safe. Every call may wait for Milvus, and raises Unavailable if it does not answer."""

    def __init__(self, connection: MilvusConnection) -> None:
        self.connection = connection
        self._alias = connection.address.alias

    @property
    def address(self) -> str:
        return str(self.connection.address)

    def current(self) -> str | None:
        """The published version, or None if nothing was published yet.

        Raises:
            IndexVersionError: the alias belongs to a collection that is not a version.
        """
        with self.connection.reached():
            try:
                collection = self.connection.client.describe_alias(self._alias, CALL_SECONDS)["collection_name"]
            except Exception as error:
                if has_code(error, *_ALIAS_NOT_FOUND):
                    return None
                raise
        version = self._version(str(collection))
        if version is None:
            raise IndexVersionError(
                f"The alias of {self.address} names the collection {collection}, which is not a version."
            )
        return version

    def versions(self) -> list[str]:
        """The names of all versions, complete or not, oldest first."""
        with self.connection.reached():
            names = map(self._version, self.connection.client.list_collections(timeout=CALL_SECONDS))
            return sorted(name for name in names if name is not None)

    def manifest(self, version: str) -> Manifest:
        """Raises IndexVersionError if the version is missing, or its manifest is damaged."""
        with self.connection.reached():
            client, collection = self.connection.client, self.collection_of(version)
            if not client.has_collection(collection, CALL_SECONDS):
                raise IndexVersionError(f"Index version {version} is missing in {self.address}.")
            properties = client.describe_collection(collection, CALL_SECONDS).get("properties", {})
        return parse_manifest(str(properties.get(MANIFEST_PROPERTY, "")).encode(), version)

    def has(self, version: str) -> bool:
        """Whether a version exists with all its rows."""
        try:
            self.open(version)
        except IndexVersionError:
            return False
        return True

    def open(self, version: str) -> MilvusReader:
        """Make Milvus load a version for searching.

        Raises:
            IndexVersionError: it is missing, or some of its rows are.
        """
        manifest = self.manifest(version)
        with self.connection.reached():
            client, collection = self.connection.client, self.collection_of(version)
            client.load_collection(collection, timeout=LOAD_SECONDS)
            found = int(
                client.query(collection, "", ["count(*)"], CALL_SECONDS, consistency_level="Strong")[0]["count(*)"]
            )
            index_type = str(client.describe_index(collection, VECTOR, CALL_SECONDS)["index_type"])
        if found != manifest.size:
            raise IndexVersionError(
                f"Index version {version} has {found:,} pictures in {self.address}, "
                f"the manifest says {manifest.size:,}."
            )
        return MilvusReader(self.connection, collection, manifest, index_type)

    def publish(self, version: str) -> None:
        """Point the alias to a version, which is atomic in Milvus."""
        published = self.current()
        with self.connection.reached():
            client = self.connection.client
            switch = client.create_alias if published is None else client.alter_alias
            switch(self.collection_of(version), self._alias, timeout=CALL_SECONDS)

    def prune(self, keep: int) -> list[str]:
        """Drop all versions but the `keep` newest (at least 1) and the current one; returns the dropped names."""
        versions = self.versions()
        kept = {*versions[-keep:], self.current()}
        removed = [version for version in versions if version not in kept]
        with self.connection.reached():
            for version in removed:
                self.connection.client.drop_collection(self.collection_of(version), timeout=WRITE_SECONDS)
        return removed

    def collection_of(self, version: str) -> str:
        return f"{self._alias}_{version.replace('-', '_')}"

    def _version(self, collection: str) -> str | None:
        name = _COLLECTION.fullmatch(collection.removeprefix(f"{self._alias}_"))
        return f"{name[1]}-{name[2]}" if name and collection.startswith(f"{self._alias}_") else None


def load(
    store: MilvusStore,
    folder: Path,
    index_type: str = FLAT,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Write a version's folder into a new collection, and read some of it back; it is not published yet.

    Args:
        folder: that of a verified version.
        progress: called with the number of rows of each batch that was written.

    Raises:
        IndexVersionError: the version is in use, or what is read back differs from what was written.
    """
    manifest = read_manifest(folder)
    collection = store.collection_of(manifest.version)
    if store.current() == manifest.version:
        raise IndexVersionError(
            f"Index version {manifest.version} is in use in {store.address} and cannot be overwritten."
        )
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
        client.drop_collection(collection, timeout=WRITE_SECONDS)  # left by an interrupted push
    client.create_collection(
        collection,
        schema=schema_of(pymilvus, manifest.encoder.dimensions),
        properties={MANIFEST_PROPERTY: text},
        consistency_level="Eventually",  # it is never written again, and `open` waits for the last rows
        timeout=WRITE_SECONDS,
    )


def _add_indexes(client: Any, collection: str, index_type: str, size: int) -> None:
    """Returns when the index of the vectors is built."""
    ids, vectors = client.prepare_index_params(), client.prepare_index_params()
    ids.add_index("id", index_name="id", index_type="INVERTED")
    client.create_index(collection, ids, timeout=LOAD_SECONDS, sync=False)
    parameters = _parameters(index_type, size)
    vectors.add_index(VECTOR, index_name=VECTOR, index_type=index_type, metric_type="IP", params=parameters)
    client.create_index(collection, vectors, timeout=LOAD_SECONDS)


def _compare(folder: Path, reader: MilvusReader) -> None:
    written = IndexReader.open(folder)
    try:
        rows = np.linspace(0, written.info.size - 1, _SAMPLED).astype(int).tolist()
        vectors = np.stack([written.vector(row) for row in rows])
        same = np.allclose(reader.vectors(rows), vectors, atol=1e-6)
        if not same or reader.pictures(rows) != written.pictures(rows):
            raise IndexVersionError(f"Rows of index version {written.info.version} were changed by Milvus.")
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
