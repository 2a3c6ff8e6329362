"""Adds, replaces and deletes single pictures. A change is on the disk before the reply, and searches see it from then.

Changes that arrive while others are being written wait, and are then written together with one `fsync`.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from imagetext.index import Collection, PictureRow
from imagetext.index.changes.journal_writer import AddedPictures, JournalWriter
from imagetext.index.changes.records import NO_ROW, Addition, Change, Deletion, Over, over
from imagetext.index.open_version import OpenVersion
from imagetext.wire.errors import (
    Busy,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidPicture,
    NotFound,
    Unavailable,
)
from imagetext.wire.index import AddedPicture, AddReply, DeleteReply, IndexRef
from services.chassis.problems import report_problem
from services.retrieval.current_index import CurrentIndex
from services.retrieval.new_pictures import NewPicture
from services.retrieval.query_encoder import QueryEncoder
from services.retrieval.settings import Settings

log = logging.getLogger(__name__)


_Outcome = Addition | ImageTextError


class PictureChanges:
    def __init__(self, folder: Path, settings: Settings, queries: QueryEncoder, index: CurrentIndex) -> None:
        self._queries = queries
        self._index = index
        self._added = AddedPictures(folder)
        self._journal = Journal(folder)
        self._max_additions = settings.max_additions
        self._deadline_s = settings.deadline_s

    async def add(self, pictures: Sequence[NewPicture | ImageTextError]) -> AddReply:
        """Add all pictures that can be added; the reply has a result or an error for each, in order.

        Raises:
            ImageTextError: the error of the only picture.
            IndexFull: the index cannot hold more pictures.
            Busy, Unavailable, DeadlineExceeded: not now; some of the pictures may have been added.
        """
        position = await self._index.use(lambda version: self._position_with_room(_collection(version), len(pictures)))
        outcomes = await self._encode_all(pictures)
        additions = [outcome for outcome in outcomes if isinstance(outcome, Addition)]
        if additions:
            ids = [addition.id for addition in additions]
            replaced = await self._index.use(lambda version: [_replaced(version, id) for id in ids])
            additions = [replace(each, over=before) for each, before in zip(additions, replaced, strict=True)]
            await self._journal.commit(additions, position)
        elif len(outcomes) == 1 and isinstance(outcomes[0], ImageTextError):
            raise outcomes[0]
        left = iter(additions)
        results = [_failed(each) if isinstance(each, ImageTextError) else _result(next(left)) for each in outcomes]
        return AddReply(index=await self._index.use(_ref), results=results)

    async def delete(self, id: str) -> DeleteReply:
        """Delete a picture; it is no longer found from the reply on.

        Raises:
            NotFound: there is no such picture.
            Unavailable, IndexFull: the change cannot be written.
        """
        picture, position = await self._index.use(lambda version: (version.by_id(id), _collection(version).position))
        await self._journal.commit([Deletion(id, picture.path, time.time_ns(), over(picture))], position)
        return DeleteReply(index=await self._index.use(_ref), id=id)

    async def stop(self) -> None:
        await self._journal.stop()

    def _position_with_room(self, collection: Collection, number: int) -> int:
        if collection.additions + number > self._max_additions:
            raise IndexFull(
                f"{collection.additions:,} pictures were added since the index was built, of at most "
                f"{self._max_additions:,}. Run the indexer: python -m indexer build --images FOLDER --index DIR"
            )
        return collection.position

    async def _encode_all(self, pictures: Sequence[NewPicture | ImageTextError]) -> list[_Outcome]:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.gather(*map(self._encode, pictures))
        except TimeoutError:
            raise DeadlineExceeded(f"The pictures were not ready within {self._deadline_s:g} seconds.") from None

    async def _encode(self, picture: NewPicture | ImageTextError) -> _Outcome:
        """An error of the picture is returned; an error of the service is raised."""
        if isinstance(picture, ImageTextError):
            return picture
        try:
            encoded = await self._queries.encode_sized(picture.content)
        except (Busy, Unavailable):
            raise
        except ImageTextError as error:
            return error
        vector, (width, height) = encoded.vector, encoded.size
        length = float((vector**2).sum())
        if not 0.99 < length < 1.01:  # NaN fails this too
            return InvalidPicture("The encoder cannot encode this picture.")
        try:
            changed = await asyncio.to_thread(self._added.write, picture.id, picture.sha256, picture.content)
        except OSError as error:
            raise _write_error(error) from error
        known = await asyncio.to_thread(picture.known)
        row = PictureRow(
            *(NO_ROW, picture.id, picture.path, picture.sha256, len(picture.content), changed, width, height, *known)
        )
        return Addition(row, vector, self._queries.encoder.fingerprint, time.time_ns())


@dataclass(frozen=True, eq=False)
class _Waiting:
    changes: Sequence[Change]
    after: int
    done: "asyncio.Future[None]"


class Journal:
    """Commits changes to the journal, in a thread of its own."""

    def __init__(self, index: Path) -> None:
        self._writer = JournalWriter(index)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, changes: Sequence[Change], after: int) -> None:
        """Return when all of them are on the disk, after the position `after`.

        Raises:
            NotFound: the file of a picture is gone.
            IndexFull: the disk is full.
            Unavailable: the index cannot be written.
        """
        waiting = _Waiting(changes, after, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="journal")
        await waiting.done

    async def stop(self) -> None:
        """Write whatever waits, then stop."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        self._thread.shutdown(wait=False)

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            if not await self._write(group) and len(group) > 1:
                for each in group:  # so that only those at fault fail
                    await self._write([each])

    async def _write(self, group: Sequence[_Waiting]) -> bool:
        """Whether their callers have an answer; if not, one of several was refused and each has to be written alone."""
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
            error = _write_error(failed)
        for each in group:
            if each.done.done():  # its caller was cancelled
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(error)
        return True


def _collection(version: OpenVersion) -> Collection:
    assert isinstance(version, Collection), "a version in an index folder is opened with its changes"
    return version


def _replaced(version: OpenVersion, id: str) -> Over | None:
    """What a new picture with this id would replace."""
    try:
        return over(version.by_id(id))
    except NotFound:
        return None


def _ref(version: OpenVersion) -> IndexRef:
    return IndexRef(version=version.info.version, size=version.info.size)


def _failed(error: ImageTextError) -> AddedPicture:
    return AddedPicture(error=report_problem(error))


def _result(addition: Addition) -> AddedPicture:
    picture = addition.picture
    return AddedPicture(
        id=picture.id,
        path=picture.shown_path,
        url=f"/v1/images/{picture.id}",
        thumbnail_url=f"/v1/images/{picture.id}/thumbnail",
        width=picture.width,
        height=picture.height,
        replaced=addition.over is not None,
    )


def _write_error(error: Exception) -> ImageTextError:
    """The error for the caller when a file of the index cannot be written; the details are logged."""
    log.error("the index cannot be written", exc_info=error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return IndexFull("The disk of the index is full. Nothing was added.")
    return Unavailable("The folder of the index cannot be written.", retry_after=30)
