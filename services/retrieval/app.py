"""Wires the retrieval service together."""

from functools import partial
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from imagetext.engines import Engines
from imagetext.machine import give_back_freed_memory
from imagetext.models.encoder.engine import Encoder, load_encoder
from services.chassis import app as chassis
from services.chassis.limits import Admission
from services.chassis.observing import ModelMetrics
from services.retrieval.current_index import CurrentIndex, IndexMetrics
from services.retrieval.endpoints import router, search_router
from services.retrieval.index_folder import IndexFolder
from services.retrieval.labelling import Labelling, label_router
from services.retrieval.lifespan import Load, Retrieval, lifespan_of
from services.retrieval.operator_endpoints import change_router, index_router
from services.retrieval.picture_changes import PictureChanges
from services.retrieval.picture_shelf import PictureShelf
from services.retrieval.query_encoder import QueryEncoder
from services.retrieval.searching import Searching
from services.retrieval.settings import Settings
from services.retrieval.version_sources import source_of


def create_app(settings: Settings, *, load: Load | None = None) -> FastAPI:
    """The retrieval service.

    Args:
        settings: what the environment says, or a test.
        load: loads the encoder by its folder; with the engines of the settings when left out.
    """
    if load is None:
        load = partial(_load, settings)
    registry = CollectorRegistry()
    retrieval = _build(settings, registry)
    return chassis.create_app(
        "retrieval",
        lifespan=lifespan_of(retrieval, settings.model, load),
        ready=retrieval.not_ready,
        max_body_bytes=settings.max_body_bytes,
        routers=[search_router, router, label_router, index_router, change_router],
        registry=registry,
    )


def _build(settings: Settings, registry: CollectorRegistry) -> Retrieval:
    queries = QueryEncoder(settings, ModelMetrics(registry))
    index = CurrentIndex(
        source_of(settings), poll_s=settings.poll_s, threads=settings.search_threads, metrics=IndexMetrics(registry)
    )
    folder = settings.index if isinstance(settings.index, Path) else None
    return Retrieval(
        queries=queries,
        index=index,
        folder=None if folder is None else IndexFolder(folder, index),
        searching=Searching(queries, index, settings.deadline_s),
        labelling=Labelling(queries, settings.deadline_s),
        shelf=PictureShelf(settings, index),
        changes=None if folder is None else PictureChanges(folder, settings, queries, index),
        admission=Admission(settings.max_searches),
        change_admission=Admission(settings.max_changes),
    )


def _load(settings: Settings, source: str) -> Encoder:
    engines = Engines(settings.engines, settings.engine or None, settings.threads, exported=settings.exported)
    encoder = load_encoder(source, engines)
    encoder.load()
    give_back_freed_memory()
    return encoder
