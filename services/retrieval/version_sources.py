"""Where the published versions come from: a folder, an object store, or Milvus.

Versions of an object store, copied into a local folder and opened there.

Versions that Milvus holds: the published one is that of the alias.

Which source of versions the settings name.
"""

import logging
from pathlib import Path
from typing import Protocol

from imagetext.index import IndexReader, current_version, list_versions, version_folder
from imagetext.index.catalogue import other_encoder
from imagetext.index.open_version import OpenVersion
from imagetext.index.reader import info_of
from imagetext.index.remote.milvus_reader import MilvusReader
from imagetext.index.remote.milvus_rows import MilvusConnection
from imagetext.index.remote.milvus_store import MilvusStore
from imagetext.index.remote.mirror import Mirror
from imagetext.index.remote.object_store import ObjectStore
from imagetext.index.remote.places import MilvusAddress, StoreAddress, folder_name
from imagetext.wire.contracts import IndexInfo
from imagetext.wire.errors import IndexVersionError, Unavailable
from services.retrieval.settings import Settings


class VersionSource(Protocol):
    """`current` and `open` are called in a thread, one call at a time."""

    @property
    def folder(self) -> Path | None:
        """The index folder whose journal changes the versions; None: nothing does."""

    @property
    def away(self) -> bool:
        """Whether it could not be reached at the last look."""

    @property
    def lost(self) -> bool:
        """Whether what is open cannot be searched either; the source is away then."""

    def current(self) -> str | None:
        """The published version, or None when there is none yet. Raises ImageTextError when it cannot be known."""

    def open(self, version: str, fingerprint: str) -> OpenVersion:
        """Open a version, after a look at all of it.

        Raises:
            IndexVersionError: it is damaged, or its encoder has another fingerprint.
            Unavailable: the source does not answer.
        """

    def missing(self) -> str:
        """Why there is nothing to search, while nothing stands against what is published."""

    def stop(self) -> None:
        """End what `open` is doing in its thread; called once."""


class FolderSource:
    """An index folder, of this machine or of a shared volume."""

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
        """Reading a folder needs no end."""


def require_encoder(info: IndexInfo, fingerprint: str) -> None:
    """Raises IndexVersionError when the vectors of a version are of another encoder."""
    conflict = other_encoder(info, fingerprint)
    if conflict is not None:
        raise IndexVersionError(conflict)


log = logging.getLogger(__name__)


class StoreSource:
    """Starts with the local copy that served last, then follows the store; without the store, that copy serves on."""

    folder = None

    lost = False

    def __init__(self, store: ObjectStore, cache: Path, keep: int) -> None:
        """`keep` is how many of the newest versions stay in `cache`."""
        self._mirror = Mirror(store, cache)
        self._keep = keep
        self._looked = False
        self._fetching: str | None = None
        self.away = False

    def current(self) -> str | None:
        if not self._looked:
            self._looked = True  # and a start waits for no network
            return self._local()
        try:
            version = self._mirror.store.current()
        except Unavailable as error:
            local = self._local()
            if not self.away:
                log.warning(
                    "%s %s %r",
                    error.detail,
                    "There is no copy." if local is None else "The copy serves on.",
                    error.__cause__,
                )
            self.away = True
            if local is None:
                raise
            return local
        if self.away:
            log.info("the index store %s is reached again", self._mirror.store.address)
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
            return None  # a damaged copy of what the store knows

    def _open_copy(self, version: str) -> IndexReader | None:
        if version not in list_versions(self._mirror.index):
            return None
        try:
            return IndexReader.open(version_folder(self._mirror.index, version), verify=True)
        except IndexVersionError as error:
            log.warning("the local copy is fetched again: %s", error.detail)
            self._mirror.discard(version)
            return None

    def _fetch(self, version: str, fingerprint: str) -> IndexReader:
        self._fetching = version
        try:
            folder = self._mirror.fetch(version, lambda manifest: require_encoder(info_of(manifest), fingerprint))
        finally:
            self._fetching = None
        log.info("index version %s is copied from %s", version, self._mirror.store.address)
        return IndexReader.open(folder)  # every byte was checked when it came


class MilvusSource:
    folder = None

    def __init__(self, store: MilvusStore) -> None:
        self._store = store
        self.away = False

    @property
    def lost(self) -> bool:
        """Nothing can be searched while Milvus is away."""
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
        """A call ends within its own time."""


def source_of(settings: Settings) -> VersionSource:
    """Opens and reaches nothing yet."""
    match settings.index:
        case Path():
            return FolderSource(settings.index)
        case StoreAddress():
            cache = settings.index_cache / folder_name(settings.index)  # or it would start with another index's copy
            return StoreSource(ObjectStore(settings.index), cache, settings.index_keep)
        case MilvusAddress():
            token = settings.milvus_token.get_secret_value()
            return MilvusSource(MilvusStore(MilvusConnection(settings.index, token)))
