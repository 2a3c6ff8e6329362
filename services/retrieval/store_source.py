"""Versions of an object store, copied into a local folder and opened there."""

import logging
from pathlib import Path

from imagetext.errors import IndexVersionError, Unavailable
from imagetext.index import IndexReader, current_version, list_versions, version_folder
from imagetext.index.mirror import Mirror
from imagetext.index.object_store import ObjectStore
from imagetext.index.reader import info_of
from services.retrieval.version_source import require_encoder

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
