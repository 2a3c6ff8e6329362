"""What opens when the service starts and closes when it stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from imagetext.captioner.engine import Captioner
from imagetext.errors import ModelError
from imagetext.memory import keep_freed_memory
from services.caption.captioning import Captioning
from services.chassis.admission import Admission
from services.chassis.app import Lifespan

Load = Callable[[str], Captioner]


class State(TypedDict):
    captioning: Captioning
    admission: Admission


def lifespan_of(captioning: Captioning, admission: Admission, sources: Sequence[str], load: Load) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        keep_freed_memory()
        captioning.start(await asyncio.to_thread(_load_all, sources, load))
        try:
            await captioning.warm_up()
            yield {"captioning": captioning, "admission": admission}
        finally:
            await captioning.stop()

    return lifespan


def _load_all(sources: Sequence[str], load: Load) -> list[Captioner]:
    captioners = [load(source) for source in sources]
    names = {captioner.name for captioner in captioners}
    if len(names) < len(captioners):
        raise ModelError("Two of the models to load have the same name.")
    return captioners
