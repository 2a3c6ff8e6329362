"""The versions of an index in Milvus: a collection each, and an alias for the published one."""

import re

from imagetext.errors import IndexVersionError
from imagetext.index.manifest import Manifest, parse_manifest
from imagetext.index.milvus_connection import CALL_SECONDS, MilvusConnection, has_code
from imagetext.index.milvus_fields import MANIFEST_PROPERTY, VECTOR
from imagetext.index.milvus_reader import MilvusReader

LOAD_SECONDS = 3_600.0  # of a large collection into the memory of its nodes
WRITE_SECONDS = 60.0
_ALIAS_NOT_FOUND = (1_600, 100)  # a server's code, and Milvus Lite's
_COLLECTION = re.compile(r"(\d{8}T\d{6}Z)_([0-9a-f]{6})")


class MilvusStore:
    """Every call may wait for Milvus, and raises Unavailable when it does not answer; all threads may share it."""

    def __init__(self, connection: MilvusConnection) -> None:
        self.connection = connection
        self._alias = connection.address.alias

    @property
    def address(self) -> str:
        return str(self.connection.address)

    def current(self) -> str | None:
        """The published version, or None when nothing was published yet.

        Raises:
            IndexVersionError: the alias is that of a collection of another origin.
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
                f"The alias of {self.address} names the collection {collection}, which is no version."
            )
        return version

    def versions(self) -> list[str]:
        """The names of all versions that are there, whole or not, oldest first."""
        with self.connection.reached():
            names = map(self._version, self.connection.client.list_collections(timeout=CALL_SECONDS))
            return sorted(name for name in names if name is not None)

    def manifest(self, version: str) -> Manifest:
        """Raises IndexVersionError when the version is not there, or its manifest is damaged."""
        with self.connection.reached():
            client, collection = self.connection.client, self.collection_of(version)
            if not client.has_collection(collection, CALL_SECONDS):
                raise IndexVersionError(f"Index version {version} is missing in {self.address}.")
            properties = client.describe_collection(collection, CALL_SECONDS).get("properties", {})
        return parse_manifest(str(properties.get(MANIFEST_PROPERTY, "")).encode(), version)

    def has(self, version: str) -> bool:
        """Whether a version is there with all its rows."""
        try:
            self.open(version)
        except IndexVersionError:
            return False
        return True

    def open(self, version: str) -> MilvusReader:
        """Have Milvus load a version for searching.

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
        """Point the alias to a version, which is one step in Milvus."""
        published = self.current()
        with self.connection.reached():
            client = self.connection.client
            switch = client.create_alias if published is None else client.alter_alias
            switch(self.collection_of(version), self._alias, timeout=CALL_SECONDS)

    def prune(self, keep: int) -> list[str]:
        """Drop all versions but the `keep` newest (at least 1) and the current one; the names of the dropped."""
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
