"""Changes onto the disk: those that come while others are being written wait, and go together with one `fsync`.

Adds, replaces and deletes single pictures: on the disk before the reply, and found from the reply on.
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
from imagetext.index.changes.added import AddedPictures
from imagetext.index.changes.journal_writer import JournalWriter
from imagetext.index.changes.records import NO_ROW, Addition, Change, Deletion, Over, over
from imagetext.index.open_version import OpenVersion
from imagetext.wire.contracts import AddedPicture, AddReply, DeleteReply, IndexRef
from imagetext.wire.errors import (
    Busy,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidPicture,
    NotFound,
    Unavailable,
)
from services.chassis.problems import report_problem
from services.retrieval.current_index import CurrentIndex
from services.retrieval.new_pictures import NewPicture
from services.retrieval.query_encoder import QueryEncoder
from services.retrieval.settings import Settings

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


_Outcome = Addition | ImageTextError


class PictureChanges:
    def __init__(self, folder: Path, settings: Settings, queries: QueryEncoder, index: CurrentIndex) -> None:
        self._queries = queries
        self._index = index
        self._added = AddedPictures(folder)
        self._commits = JournalCommits(folder)
        self._max_additions = settings.max_additions
        self._deadline_s = settings.deadline_s

    async def add(self, pictures: Sequence[NewPicture | ImageTextError]) -> AddReply:
        """All that can be added; each picture has its place or its problem in the reply, in order.

        Raises:
            ImageTextError: what is wrong with the only picture.
            IndexFull: the index takes no more pictures.
            Busy, Unavailable, DeadlineExceeded: not now; some of the pictures may have been added.
        """
        position = await self._index.use(lambda version: self._position_with_room(_collection(version), len(pictures)))
        outcomes = await self._encode_all(pictures)
        additions = [outcome for outcome in outcomes if isinstance(outcome, Addition)]
        if additions:
            ids = [addition.id for addition in additions]
            taken = await self._index.use(lambda collection: [_taken(collection, id) for id in ids])
            additions = [replace(each, over=before) for each, before in zip(additions, taken, strict=True)]
            await self._commits.commit(additions, position)
        elif len(outcomes) == 1 and isinstance(outcomes[0], ImageTextError):
            raise outcomes[0]
        left = iter(additions)
        results = [_failed(each) if isinstance(each, ImageTextError) else _result(next(left)) for each in outcomes]
        return AddReply(index=await self._index.use(_ref), results=results)

    async def delete(self, id: str) -> DeleteReply:
        """The picture is found no more from the reply on.

        Raises:
            NotFound: there is no such picture.
            Unavailable, IndexFull: the change cannot be written.
        """
        picture, position = await self._index.use(lambda version: (version.by_id(id), _collection(version).position))
        await self._commits.commit([Deletion(id, picture.path, time.time_ns(), over(picture))], position)
        return DeleteReply(index=await self._index.use(_ref), id=id)

    async def stop(self) -> None:
        await self._commits.stop()

    def _position_with_room(self, collection: Collection, number: int) -> int:
        if collection.additions + number > self._max_additions:
            raise IndexFull(
                f"{collection.additions:,} pictures were added since the index was built, and "
                f"{self._max_additions:,} can be. Run the indexer: python -m indexer build --images FOLDER --index DIR"
            )
        return collection.position

    async def _encode_all(self, pictures: Sequence[NewPicture | ImageTextError]) -> list[_Outcome]:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.gather(*map(self._encode, pictures))
        except TimeoutError:
            raise DeadlineExceeded(f"The pictures were not ready within {self._deadline_s:g} seconds.") from None

    async def _encode(self, picture: NewPicture | ImageTextError) -> _Outcome:
        """What is wrong with a picture is an outcome; what keeps the service from its work is raised."""
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
        if not 0.99 < length < 1.01:  # a number that is none fails this, too
            return InvalidPicture("The encoder cannot encode this picture.")
        try:
            changed = await asyncio.to_thread(self._added.write, picture.id, picture.sha256, picture.content)
        except OSError as error:
            raise write_error(error) from error
        known = await asyncio.to_thread(picture.known)
        row = PictureRow(
            *(NO_ROW, picture.id, picture.path, picture.sha256, len(picture.content), changed, width, height, *known)
        )
        return Addition(row, vector, self._queries.encoder.fingerprint, time.time_ns())


def _collection(version: OpenVersion) -> Collection:
    assert isinstance(version, Collection), "a version of an index folder is followed with its changes"
    return version


def _taken(collection: OpenVersion, id: str) -> Over | None:
    """What a picture of this id would take the place of."""
    try:
        return over(collection.by_id(id))
    except NotFound:
        return None


def _ref(collection: OpenVersion) -> IndexRef:
    return IndexRef(version=collection.info.version, size=collection.info.size)


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
