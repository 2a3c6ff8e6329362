"""Adds, replaces and deletes single pictures: on the disk before the reply, and found from the reply on."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imagetext.contracts import AddedPicture, AddReply, DeleteReply, IndexRef
from imagetext.errors import (
    Busy,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidPicture,
    NotFound,
    Unavailable,
)
from imagetext.index import Collection, PictureRow
from imagetext.index.added import AddedPictures
from imagetext.index.changes import NO_ROW, Addition, Deletion, Over, over
from imagetext.index.open_version import OpenVersion
from services.chassis.problems import report_problem
from services.retrieval.current_index import CurrentIndex
from services.retrieval.journal_commits import JournalCommits, write_error
from services.retrieval.new_pictures import NewPicture
from services.retrieval.query_encoder import QueryEncoder
from services.retrieval.settings import Settings

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
