"""Versions that Milvus holds: the published one is that of the alias."""

import logging

from imagetext.errors import Unavailable
from imagetext.index.milvus_reader import MilvusReader
from imagetext.index.milvus_store import MilvusStore
from imagetext.index.reader import info_of
from services.retrieval.version_source import require_encoder

log = logging.getLogger(__name__)


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
