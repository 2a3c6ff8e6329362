"""Many addresses to picture files and journal entries."""

import asyncio
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from imagetext.errors import ImageTextError, Unavailable
from training.data.admission import Admission
from training.data.download.fetch import Fetcher
from training.data.download.journal import Entry, Journal
from training.data.download.reasons import Lost, Reason
from training.data.pictures import write_picture
from training.data.record import PICTURES

_UNDER_WAY = 1_000  # addresses known at once: many, so that one paused host does not keep the others waiting
_LOOK_UPS = 32  # host names looked up at once


class Downloads:
    """Fetches, checks and keeps pictures in `folder`; whatever happens to an address goes into the journal."""

    def __init__(self, folder: Path, journal: Journal, fetcher: Fetcher, admission: Admission) -> None:
        self._folder = folder
        self._journal = journal
        self._fetcher = fetcher
        self._admission = admission
        self._decoders = ThreadPoolExecutor(thread_name_prefix="decode")

    async def run(self, addresses: Iterable[str], total: int, *, again: bool = False) -> None:
        """Ask every address that the journal does not know; `again`: also those whose failure may have passed.

        Raises:
            Unavailable: the folder cannot be written.
        """
        try:
            await self._run(addresses, total, again)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _run(self, addresses: Iterable[str], total: int, again: bool) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_LOOK_UPS))
        window = asyncio.Semaphore(_UNDER_WAY)
        under_way: set[str] = set()
        with tqdm(total=total, desc="pictures", unit="address") as bar, self._decoders:
            async with asyncio.TaskGroup() as tasks:
                for address in addresses:
                    if address in under_way or self._is_done(address, again):
                        bar.update()
                        continue
                    await window.acquire()
                    under_way.add(address)
                    task = tasks.create_task(self._one(address))
                    task.add_done_callback(partial(_ended, address, under_way, window, bar))

    def _is_done(self, address: str, again: bool) -> bool:
        entry = self._journal.find(address)
        if entry is None:
            return False
        if entry.reason:
            return not (again and entry.reason.passing)
        return (self._folder / entry.path).is_file()

    async def _one(self, address: str) -> None:
        async def accept(data: bytes) -> Entry:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, self._keep, address, data)

        try:
            entry = await self._fetcher.fetch(address, accept)
        except Lost as lost:
            entry = Entry.lost(address, lost)
        except ImageTextError:
            raise
        except Exception as error:  # one strange address in millions must not end a run of days
            entry = Entry.lost(address, Lost(Reason.UNEXPECTED, type(error).__name__))
        self._journal.add(entry)

    def _keep(self, address: str, data: bytes) -> Entry:
        kept, suffix, content = self._admission.admit(data)
        path = f"{PICTURES}/{content.sha256[:2]}/{content.sha256[:32]}{suffix}"
        try:
            write_picture(self._folder / path, kept)
        except OSError as error:
            raise Unavailable(f"{self._folder} cannot be written; the disk may be full.") from error
        origin = hashlib.sha256(data).hexdigest()
        return Entry(address, bytes=len(data), path=path, origin=origin, content=content)


def _ended(
    address: str, under_way: set[str], window: asyncio.Semaphore, bar: "tqdm[None]", _: "asyncio.Task[None]"
) -> None:
    under_way.discard(address)
    window.release()
    bar.update()
