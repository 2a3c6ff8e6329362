"""The caption service: its endpoints, and what opens when it starts and closes when it stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypedDict

from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CollectorRegistry

from imagetext.engines import Engines
from imagetext.machine import give_back_freed_memory, keep_freed_memory
from imagetext.models.captioner.engine import Captioner, load_captioner
from imagetext.wire.captions import CaptionJSONRequest, CaptionOptions, CaptionReply
from imagetext.wire.contracts import Models
from imagetext.wire.errors import ModelError
from services.caption.captioning import Captioning
from services.caption.settings import MAX_PICTURES, Settings
from services.chassis import app as chassis
from services.chassis.bodies import documented_form
from services.chassis.disconnect import while_connected
from services.chassis.limits import Admission
from services.chassis.observing import ModelMetrics
from services.chassis.picture_requests import read_pictures

Load = Callable[[str], Captioner]

_BODY = documented_form(
    CaptionOptions.model_json_schema()["properties"], max_pictures=MAX_PICTURES, or_json=CaptionJSONRequest
)

router = APIRouter(prefix="/v1", tags=["captions"])


class State(TypedDict):
    """What a request finds in `request.state`."""

    captioning: Captioning
    admission: Admission


@router.post("/captions", response_model_exclude_none=True, openapi_extra=_BODY)
async def caption(request: Request) -> CaptionReply:
    """Captions for 1 to 16 pictures: one result or one error for each, in order."""
    captioning: Captioning = request.state.captioning
    with request.state.admission.enter():
        pictures, options = await read_pictures(request, CaptionOptions, CaptionJSONRequest, max_pictures=MAX_PICTURES)
        return await while_connected(request, captioning.caption(pictures, options))


@router.get("/models")
async def models(request: Request) -> Models:
    """The captioners that are loaded."""
    captioning: Captioning = request.state.captioning
    return Models(models=captioning.models)


def create_app(settings: Settings, *, load: Load | None = None) -> FastAPI:
    """The caption service.

    Args:
        settings: what the environment says, or a test.
        load: loads a captioner by its folder; with the engines of the settings when left out.
    """
    registry = CollectorRegistry()
    captioning = Captioning(settings, ModelMetrics(registry))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        keep_freed_memory()
        captioning.start(await asyncio.to_thread(_load_all, settings.models, load or partial(_load, settings)))
        try:
            await captioning.warm_up()
            yield {"captioning": captioning, "admission": Admission(settings.max_requests)}
        finally:
            await captioning.stop()

    return chassis.create_app(
        "caption",
        lifespan=lifespan,
        ready=captioning.not_ready,
        max_body_bytes=settings.max_body_bytes,
        routers=[router],
        registry=registry,
    )


def _load_all(sources: Sequence[str], load: Load) -> list[Captioner]:
    captioners = [load(source) for source in sources]
    names = {captioner.name for captioner in captioners}
    if len(names) < len(captioners):
        raise ModelError("Two of the models to load have the same name.")
    return captioners


def _load(settings: Settings, source: str) -> Captioner:
    engines = Engines(settings.engines, settings.engine or None, settings.threads, exported=settings.exported)
    captioner = load_captioner(source, engines)
    captioner.load()
    give_back_freed_memory()
    return captioner
