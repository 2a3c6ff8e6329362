"""The published index version, open for searching with the changes since; both are followed as they go on.

Work that may block runs in a thread. Two things run on the event loop, because a thread is slower: the hop to it and
back takes about 0.1 ms; a search in a thread took up to 20 ms at the 90th percentile when all cores were busy.

- `has_news` before each search: two calls of `os.stat`, 0.02 to 0.05 ms.
- `search` in an index of at most `_SMALL_VALUES` values, 2 ms at most: FAISS, which reads 20 MB then, and SQLite for
  the rows that are not cached. With 512 dimensions, it takes 0.4 ms for 2,000 pictures, 0.7 ms for 4,000 and 2 ms for
  9,700, whether the rows come from the cache or from SQLite.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from imagetext.index import Collection, IndexReader
from imagetext.index.changes.journal import JournalReader
from imagetext.index.open_version import OpenVersion
from imagetext.wire.errors import ImageTextError, Unavailable
from services.retrieval.version_sources import FolderSource, VersionSource

T = TypeVar("T")

# A refused version may be repaired under its own name, but reading all of it at every poll would take too much.
_RETRY_SECONDS = 30.0
_SMALL_VALUES = 5_000_000

log = logging.getLogger(__name__)


class IndexMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.pictures = Gauge("index_pictures", "Pictures in the open index version", registry=registry)
        self.refused = Gauge("index_refused", "1 while the published version cannot be used", registry=registry)
        self.away = Gauge("index_away", "1 while the store of the index cannot be reached", registry=registry)
        self.opens = Counter("index_opens", "Index versions opened", registry=registry)

    def opened(self, pictures: int) -> None:
        self.pictures.set(pictures)
        self.refused.set(0)
        self.opens.inc()


@dataclass
class HeldVersion:
    """A version with the count of its users. All of it runs on the event loop, except `of` and `read_on`."""

    reader: OpenVersion
    journal: JournalReader | None  # None: the version cannot be changed
    collection: OpenVersion
    users: int = 0
    retired: bool = False

    @classmethod
    def of(cls, reader: OpenVersion, folder: Path | None) -> "HeldVersion":
        """In a thread. With all changes until now, if it is in an index folder."""
        if folder is None or not isinstance(reader, IndexReader):
            return cls(reader, None, reader)
        journal = JournalReader(folder, reader.merged)
        return cls(reader, journal, Collection.of(reader).changed(journal.read()))

    def has_news(self) -> bool:
        """Whether anything changed since the last read."""
        return self.journal is not None and self.journal.has_news()

    def read_on(self) -> OpenVersion:
        """In a thread."""
        if self.journal is None or not isinstance(self.collection, Collection):
            return self.collection
        return self.collection.changed(self.journal.read())

    def release(self) -> None:
        self.users -= 1
        self._close_if_unused()

    def retire(self) -> None:
        self.retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self.retired and self.users == 0:
            self.reader.close()


@dataclass(frozen=True)
class _Refusal:
    version: str | None  # None: CURRENT itself cannot be read
    detail: str
    retry_at: float


class CurrentIndex:
    """Swaps a reference when a version is published: requests in progress finish on the version they began with.

    A version that is damaged, or was made by another encoder than `fingerprint`, is refused, and the open one stays. A
    call of `search` or `use` sees every change that was in the journal before it, whichever process wrote it.
    """

    def __init__(
        self,
        source: VersionSource | Path,
        *,
        poll_s: float,
        threads: int,
        metrics: IndexMetrics,
        small_values: int = _SMALL_VALUES,
    ) -> None:
        """`source` may be an index folder; an index of at most `small_values` values is searched on the event loop."""
        self._source: VersionSource = FolderSource(source) if isinstance(source, Path) else source
        self._poll_s = poll_s
        self._metrics = metrics
        self._small_values = small_values
        self.fingerprint = ""
        self._pool = ThreadPoolExecutor(threads, "search")
        self._held: HeldVersion | None = None
        self._refusal: _Refusal | None = None
        self._following = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, fingerprint: str) -> None:
        """Open the published version, if there is one, and then follow what is published."""
        self.fingerprint = fingerprint
        await self.refresh()
        self._watcher = asyncio.create_task(self._watch(), name="index watcher")

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            self._source.stop()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._held is not None:
            self._held.retire()
            self._held = None
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def not_ready(self) -> dict[str, str]:
        if self._held is not None and not self._source.lost:
            return {}
        if self._refusal is not None:
            return {"index": self._refusal.detail}
        return {"index": self._source.missing()}

    @property
    def open_version(self) -> str | None:
        return None if self._held is None else self._held.reader.info.version

    @property
    def refusal(self) -> str | None:
        """Why the published version is not the open one."""
        return None if self._refusal is None else self._refusal.detail

    async def search(self, work: Callable[[OpenVersion], T]) -> T:
        """As `use`, for work that takes as long as a search; for a small index on the event loop."""
        held = await self._up_to_date()
        if held.collection.values <= self._small_values:
            return work(held.collection)
        return await self._run(held, work)

    async def use(self, work: Callable[[OpenVersion], T]) -> T:
        """The result of `work` on the open version, in a thread; the version stays open until `work` has returned.

        Raises:
            Unavailable: no version is open.
        """
        return await self._run(await self._up_to_date(), work)

    async def _up_to_date(self) -> HeldVersion:
        if self._held is not None and self._held.has_news():
            # Must not be cancelled with its caller: what was read has to be applied.
            await asyncio.shield(asyncio.create_task(self._follow()))
        if self._held is None:
            raise Unavailable("There is no index to search yet.", retry_after=5)
        return self._held

    async def _run(self, held: HeldVersion, work: Callable[[OpenVersion], T]) -> T:
        loop = asyncio.get_running_loop()
        held.users += 1
        future = self._pool.submit(work, held.collection)
        # Not when the caller stops waiting: the thread may still read.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(held.release))
        return await asyncio.wrap_future(future)

    async def _follow(self) -> None:
        """Apply what is new in the journal."""
        async with self._following:
            held = self._held
            if held is None or not held.has_news():
                return
            held.users += 1
            try:
                held.collection = await asyncio.to_thread(held.read_on)
                self._metrics.pictures.set(held.collection.info.size)
            except Exception:
                log.exception("the journal cannot be followed and is read again from the beginning")
                await self._rebuild(held)
            finally:
                held.release()

    async def _rebuild(self, held: HeldVersion) -> None:
        try:
            again = await asyncio.to_thread(HeldVersion.of, held.reader, self._source.folder)
        except Exception as error:
            raise Unavailable("The changes of the index cannot be read.", retry_after=5) from error
        held.journal, held.collection = again.journal, again.collection

    async def refresh(self) -> None:
        """Open the published version unless it is already open; if it is refused, the reason is logged."""
        version = None
        try:
            version = await asyncio.to_thread(self._source.current)
            if version is None or self._is_known(version):
                return
            held = await asyncio.to_thread(self._open, version)
        except Exception as error:
            self._refuse(version, error)
            return
        finally:
            self._metrics.away.set(self._source.away)
        self._swap(held)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self.refresh()

    def _is_known(self, version: str) -> bool:
        if self._held is not None and self._held.reader.info.version == version:
            self._refusal = None  # the refused version is no longer the published one
            self._metrics.refused.set(0)
            return True
        refusal = self._refusal
        return refusal is not None and refusal.version == version and time.monotonic() < refusal.retry_at

    def _open(self, version: str) -> HeldVersion:
        """In a thread; verifies the whole version."""
        reader = self._source.open(version, self.fingerprint)
        try:
            return HeldVersion.of(reader, self._source.folder)
        except Exception:
            reader.close()
            raise

    def _swap(self, new: HeldVersion) -> None:
        old, self._held, self._refusal = self._held, new, None
        info = new.collection.info
        self._metrics.opened(info.size)
        log.info("index version %s with %d pictures is open", info.version, info.size)
        if old is not None:
            old.retire()

    def _refuse(self, version: str | None, error: Exception) -> None:
        ours = isinstance(error, ImageTextError)
        detail = str(error) if ours else "The published index version cannot be opened."
        if self._refusal is None or (self._refusal.version, self._refusal.detail) != (version, detail):
            log.error("the published index version is refused: %s", detail, exc_info=None if ours else error)
        self._refusal = _Refusal(version, detail, time.monotonic() + _RETRY_SECONDS)
        self._metrics.refused.set(1)
