"""Wires the caption service together."""

from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from imagetext.captioner.engine import Captioner, load_captioner
from imagetext.engines import Engines
from imagetext.memory import give_back_freed_memory
from services.caption.captioning import Captioning
from services.caption.endpoints import router
from services.caption.lifespan import Load, lifespan_of
from services.caption.settings import Settings
from services.chassis import app as chassis
from services.chassis.admission import Admission
from services.chassis.json_logging import configure_logging
from services.chassis.metrics import ModelMetrics
from services.chassis.serve import read_settings

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
