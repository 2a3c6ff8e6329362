"""What opens when the service starts and closes when it stops.

The caption service's part of the public API.

Wires the caption service together.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypedDict

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CollectorRegistry

from imagetext.engines import Engines
from imagetext.machine import give_back_freed_memory, keep_freed_memory
from imagetext.models.captioner.engine import Captioner, load_captioner
from imagetext.wire.contracts import CaptionJSONRequest, CaptionOptions, CaptionReply, Models
from imagetext.wire.errors import ModelError
from services.caption.captioning import Captioning
from services.caption.settings import MAX_PICTURES, Settings
from services.chassis import app as chassis
from services.chassis.app import Lifespan
from services.chassis.disconnect import while_connected
from services.chassis.forms import documented_form
from services.chassis.limits import Admission
from services.chassis.observing import ModelMetrics
from services.chassis.picture_requests import read_pictures
from services.chassis.serve import configure_logging, read_settings

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


router = APIRouter(prefix="/v1", tags=["captions"])

_BODY = documented_form(
    CaptionOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES, or_json=CaptionJSONRequest
)


@router.post("/captions", response_model=CaptionReply, response_model_exclude_none=True, openapi_extra=_BODY)
async def caption(request: Request) -> Response:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    captioning: Captioning = request.state.captioning
    with request.state.admission.enter():
        pictures, options = await read_pictures(request, CaptionOptions, CaptionJSONRequest, max_pictures=MAX_PICTURES)
        reply = await while_connected(request, captioning.caption(pictures, options))
    # Written here: FastAPI would check every number of the attention maps once more.
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")


@router.get("/models")
async def models(request: Request) -> Models:
    """The captioners that are loaded."""
    captioning: Captioning = request.state.captioning
    return Models(models=captioning.models)


SERVICE = "caption"


def create_app(settings: Settings | None = None, *, load: Load | None = None) -> FastAPI:
    """The caption service; without settings it is the process's own: it reads its environment and sets up logging."""
    if settings is None:
        settings = read_settings(Settings)
        configure_logging(SERVICE, settings.log_level)
    if load is None:
        load = partial(_load, settings)
    registry = CollectorRegistry()
    captioning = Captioning(settings, ModelMetrics(registry))
    return chassis.create_app(
        SERVICE,
        lifespan=lifespan_of(captioning, Admission(settings.max_requests), settings.models, load),
        ready=captioning.not_ready,
        max_body_bytes=settings.max_body_bytes,
        routers=[router],
        registry=registry,
    )


def _load(settings: Settings, source: str) -> Captioner:
    engines = Engines(settings.engines, settings.engine or None, settings.threads, exported=settings.exported)
    captioner = load_captioner(source, engines)
    captioner.load()
    give_back_freed_memory()
    return captioner
