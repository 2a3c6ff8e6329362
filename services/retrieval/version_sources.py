"""Where published versions come from: an index folder, an object store whose versions are copied, or Milvus."""

import logging
from pathlib import Path
from typing import Protocol

from imagetext.index import IndexReader, current_version, list_versions, version_folder
from imagetext.index.catalogue import other_encoder
from imagetext.index.open_version import OpenVersion
from imagetext.index.reader import info_of
from imagetext.index.remote.location import MilvusAddress, StoreAddress, folder_name
from imagetext.index.remote.milvus_reader import MilvusReader
from imagetext.index.remote.milvus_rows import MilvusConnection
from imagetext.index.remote.milvus_store import MilvusStore
from imagetext.index.remote.mirror import Mirror
from imagetext.index.remote.object_store import ObjectStore
from imagetext.wire.errors import IndexVersionError, Unavailable
from imagetext.wire.index import IndexInfo
from services.retrieval.settings import Settings

log = logging.getLogger(__name__)


class VersionSource(Protocol):
    """`current` and `open` are called in a thread, one call at a time."""

    @property
    def folder(self) -> Path | None:
        """The index folder with the journal of changes; None: the versions cannot be changed."""

    @property
    def away(self) -> bool:
        """Whether it could not be reached at the last poll."""

    @property
    def lost(self) -> bool:
        """Whether it is away and the open version cannot be searched either."""

    def current(self) -> str | None:
        """The published version, or None if there is none yet. Raises ImageTextError if it cannot be determined."""

    def open(self, version: str, fingerprint: str) -> OpenVersion:
        """Verify and open a version.

        Raises:
            IndexVersionError: it is damaged, or its encoder has another fingerprint.
            Unavailable: the source does not answer.
        """

    def missing(self) -> str:
        """Why there is nothing to search, if no version was refused."""

    def stop(self) -> None:
        """End an `open` that runs in another thread; called once."""


class FolderSource:
    """An index folder on this machine or on a shared volume."""

    away = lost = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> str | None:
        return current_version(self.folder)

    def open(self, version: str, fingerprint: str) -> IndexReader:
        reader = IndexReader.open(version_folder(self.folder, version), verify=True)
        try:
            require_encoder(reader.info, fingerprint)
        except IndexVersionError:
            reader.close()
            raise
        return reader

    def missing(self) -> str:
        build = f"python -m indexer build --images FOLDER --index {self.folder}"
        return f"There is no index in {self.folder} yet. Build one: {build}"

    def stop(self) -> None:
        """Nothing to do: reading a folder ends by itself."""


def require_encoder(info: IndexInfo, fingerprint: str) -> None:
    """Raises IndexVersionError if another encoder made the version."""
    conflict = other_encoder(info, fingerprint)
    if conflict is not None:
        raise IndexVersionError(conflict)


class StoreSource:
    """Starts with the local copy that was used last, then follows the store; the copy stays while the store is away."""

    folder = None
    lost = False

    def __init__(self, store: ObjectStore, cache: Path, keep: int) -> None:
        """`keep`: how many of the newest versions stay in `cache`."""
        self._mirror = Mirror(store, cache)
        self._keep = keep
        self._started = False
        self._fetching: str | None = None
        self.away = False

    def current(self) -> str | None:
        if not self._started:
            self._started = True  # the start does not wait for the network
            return self._local()
        try:
            version = self._mirror.store.current()
        except Unavailable as error:
            local = self._local()
            if not self.away:
                outcome = "There is no local copy." if local is None else "The local copy stays in use."
                log.warning("%s %s %r", error.detail, outcome, error.__cause__)
            self.away = True
            if local is None:
                raise
            return local
        if self.away:
            log.info("the index store %s is back", self._mirror.store.address)
        self.away = False
        return version

    def open(self, version: str, fingerprint: str) -> IndexReader:
        reader = self._open_copy(version) or self._fetch(version, fingerprint)
        try:
            require_encoder(reader.info, fingerprint)
        except IndexVersionError:
            reader.close()
            raise
        self._mirror.publish(version, self._keep)
        return reader

    def missing(self) -> str:
        place = self._mirror.store.address
        if self._fetching is not None:
            return f"Index version {self._fetching} is being copied from {place}."
        push = f"python -m indexer build --images FOLDER --index {place}"
        return f"There is no index in {place} yet. Build one: {push}"

    def stop(self) -> None:
        self._mirror.stop()

    def _local(self) -> str | None:
        try:
            return current_version(self._mirror.index)
        except IndexVersionError:
            return None  # only a copy: the store has the published version

    def _open_copy(self, version: str) -> IndexReader | None:
        if version not in list_versions(self._mirror.index):
            return None
        try:
            return IndexReader.open(version_folder(self._mirror.index, version), verify=True)
        except IndexVersionError as error:
            log.warning("the local copy is damaged and fetched again: %s", error.detail)
            self._mirror.discard(version)
            return None

    def _fetch(self, version: str, fingerprint: str) -> IndexReader:
        self._fetching = version
        try:
            folder = self._mirror.fetch(version, lambda manifest: require_encoder(info_of(manifest), fingerprint))
        finally:
            self._fetching = None
        log.info("index version %s is copied from %s", version, self._mirror.store.address)
        return IndexReader.open(folder)  # every byte was verified when it was fetched


class MilvusSource:
    """The published version is the collection that the alias names."""

    folder = None

    def __init__(self, store: MilvusStore) -> None:
        self._store = store
        self.away = False

    @property
    def lost(self) -> bool:
        """Milvus searches, so nothing can be searched while it is away."""
        return self.away

    def current(self) -> str | None:
        try:
            version = self._store.current()
        except Unavailable as error:
            if not self.away:
                log.warning("%s is away: %s", self._store.address, error.__cause__)
            self.away = True
            raise
        if self.away:
            log.info("%s is back", self._store.address)
        self.away = False
        return version

    def open(self, version: str, fingerprint: str) -> MilvusReader:
        require_encoder(info_of(self._store.manifest(version)), fingerprint)
        return self._store.open(version)

    def missing(self) -> str:
        push = f"python -m indexer push --index DIR --to {self._store.address}"
        return f"There is no index in {self._store.address} yet. Send one: {push}"

    def stop(self) -> None:
        """Nothing to do: every call has a timeout."""


def source_of(settings: Settings) -> VersionSource:
    """The source that the settings name. Does not connect yet."""
    match settings.index:
        case Path():
            return FolderSource(settings.index)
        case StoreAddress():
            cache = settings.index_cache / folder_name(settings.index)  # each index has its own
            return StoreSource(ObjectStore(settings.index), cache, settings.index_keep)
        case MilvusAddress():
            token = settings.milvus_token.get_secret_value()
            return MilvusSource(MilvusStore(MilvusConnection(settings.index, token)))
