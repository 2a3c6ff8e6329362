"""The parts of the service: started before the first request, and stopped after the last."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict

from fastapi import FastAPI

from imagetext.machine import keep_freed_memory
from imagetext.models.encoder.engine import Encoder
from services.chassis.app import Lifespan
from services.chassis.limits import Admission
from services.retrieval.current_index import CurrentIndex
from services.retrieval.index_folder import IndexFolder
from services.retrieval.labelling import Labelling
from services.retrieval.picture_changes import PictureChanges
from services.retrieval.picture_shelf import PictureShelf
from services.retrieval.query_encoder import QueryEncoder
from services.retrieval.searching import Searching

Load = Callable[[str], Encoder]


@dataclass(frozen=True)
class Retrieval:
    """What endpoints use."""

    queries: QueryEncoder
    index: CurrentIndex
    folder: IndexFolder | None  # None: the versions are in an object store or in Milvus
    searching: Searching
    labelling: Labelling
    shelf: PictureShelf
    changes: PictureChanges | None  # None: as `folder`
    admission: Admission  # for searches and labels
    change_admission: Admission

    def not_ready(self) -> dict[str, str]:
        return self.queries.not_ready() | self.index.not_ready()


class State(TypedDict):
    retrieval: Retrieval


def lifespan_of(retrieval: Retrieval, model: str, load: Load) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        keep_freed_memory()
        encoder = await asyncio.to_thread(load, model)
        try:
            await retrieval.queries.start(encoder)
            await retrieval.index.start(encoder.fingerprint)
            yield {"retrieval": retrieval}
        finally:
            retrieval.shelf.close()
            if retrieval.changes is not None:
                await retrieval.changes.stop()
            await retrieval.index.stop()
            await retrieval.queries.stop()

    return lifespan
