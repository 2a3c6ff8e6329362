"""Changes onto the disk: those that come while others are being written wait, and go together with one `fsync`."""

import asyncio
import errno
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from imagetext.errors import ImageTextError, IndexFull, Unavailable
from imagetext.index.changes import Change
from imagetext.index.journal_writer import JournalWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Waiting:
    changes: Sequence[Change]
    after: int
    done: "asyncio.Future[None]"


class JournalCommits:
    def __init__(self, index: Path) -> None:
        self._writer = JournalWriter(index)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, changes: Sequence[Change], after: int) -> None:
        """Returns when all of them are on the disk, behind the position `after`.

        Raises:
            NotFound: the file of a picture has gone.
            IndexFull: the disk is full.
            Unavailable: the index cannot be written.
        """
        waiting = _Waiting(changes, after, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="journal")
        await waiting.done

    async def stop(self) -> None:
        """Whatever waits is written first."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        self._thread.shutdown(wait=False)

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            if not await self._write(group) and len(group) > 1:
                for each in group:  # only those at fault are to fail
                    await self._write([each])

    async def _write(self, group: Sequence[_Waiting]) -> bool:
        """Whether they are settled."""
        changes = [change for each in group for change in each.changes]
        after = max(each.after for each in group)
        error: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.append, changes, after)
        except ImageTextError as refused:
            if len(group) > 1:
                return False
            error = refused
        except Exception as failed:
            error = write_error(failed)
        for each in group:
            if each.done.done():  # its caller has gone
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(error)
        return True


def write_error(error: Exception) -> ImageTextError:
    """What a caller is told when a file of the index cannot be written; the log is told the rest."""
    log.error("the index cannot be written", exc_info=error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return IndexFull("The disk of the index is full. Nothing was added.")
    return Unavailable("The folder of the index cannot be written.", retry_after=30)
