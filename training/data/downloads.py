"""Downloads many pictures, and records each outcome at once: a killed run loses only what was in flight."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

from imagetext.wire.errors import ImageTextError, Unavailable
from training.data.admission import Admission, Content, Lost, Reason
from training.data.fetch import Fetcher
from training.data.records import PICTURES, write_picture

_CREATE = """
CREATE TABLE IF NOT EXISTS addresses (
    address TEXT PRIMARY KEY, reason TEXT NOT NULL, detail TEXT NOT NULL, bytes INTEGER NOT NULL, path TEXT NOT NULL,
    origin TEXT NOT NULL, width INTEGER, height INTEGER, sha256 TEXT, dhash TEXT, phash TEXT
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address that was asked: either a picture (`content` and `path`) or the reason why there is none.

    `origin` is the sha256 of the bytes that lay there; the kept file may be a smaller one.
    """

    address: str
    reason: Reason | None = None
    detail: str = ""
    bytes: int = 0
    path: str = ""
    origin: str = ""
    content: Content | None = None

    @classmethod
    def lost(cls, address: str, lost: Lost) -> Self:
        return cls(address, lost.reason, lost.detail)


class Journal:
    """Belongs to the thread that opened it, and to one process at a time."""

    def __init__(self, file: Path) -> None:
        """Open or begin. Raises Unavailable when another process has it open, or it is damaged."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # What is written survives the end of the process; only a power failure may cost the last moments.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_CREATE)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"Another run writes into {file.parent}, or nobody may.") from error
            raise Unavailable(f"{file} is damaged; without it, everything is fetched anew.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def find(self, address: str) -> Entry | None:
        found = self._connection.execute("SELECT * FROM addresses WHERE address = ?", (address,)).fetchone()
        if found is None:
            return None
        address, reason, detail, size, path, origin, *content = found
        return Entry(
            address,
            Reason.named(reason) if reason else None,
            detail,
            size,
            path,
            origin,
            Content(*content) if content[0] is not None else None,
        )

    def add(self, entry: Entry) -> None:
        """Replaces what was known of the address."""
        content = list(asdict(entry.content).values()) if entry.content else [None] * 5
        reason = entry.reason.label if entry.reason else ""
        row = [entry.address, reason, entry.detail, entry.bytes, entry.path, entry.origin, *content]
        self._connection.execute(f"INSERT OR REPLACE INTO addresses VALUES ({', '.join('?' * len(row))})", row)

    def add_all(self, entries: Iterable[Entry]) -> None:
        """The same for many at once."""
        self._connection.execute("BEGIN")
        for entry in entries:
            self.add(entry)
        self._connection.execute("COMMIT")


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
