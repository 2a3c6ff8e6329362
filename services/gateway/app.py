"""Wires the gateway together."""

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from imagetext.addresses import Resolve, resolve
from services.chassis import app as chassis
from services.chassis.json_logging import configure_logging
from services.chassis.serve import read_settings
from services.gateway.change_endpoints import change_router
from services.gateway.endpoints import plain_router, router
from services.gateway.fetch import Fetcher
from services.gateway.index_endpoints import index_router
from services.gateway.lifespan import build_gateway
from services.gateway.page import Page
from services.gateway.settings import Settings

SERVICE = "gateway"


def create_app(
    settings: Settings | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    resolve: Resolve = resolve,
    fetcher: Fetcher | None = None,
) -> FastAPI:
    """The gateway; without settings it is the process's own: it reads its environment and sets up logging.

    Args:
        settings: read from the environment when left out.
        transport: how the services are reached; the network when left out.
        resolve: finds the addresses of the services' names.
        fetcher: fetches pictures by their address; one for the public internet when left out.
    """
    if settings is None:
        settings = read_settings(Settings)
        configure_logging(SERVICE, settings.log_level)
    registry = CollectorRegistry()
    gateway = build_gateway(settings, registry, transport=transport, resolve=resolve, fetcher=fetcher)
    app = chassis.create_app(
        SERVICE,
        lifespan=gateway.lifespan,
        ready=gateway.not_ready,
        max_body_bytes=settings.max_body_bytes,
        routers=[plain_router, router, index_router, change_router],
        registry=registry,
    )
    if settings.web_folder is not None:
        app.router.default = Page(settings.web_folder)
    return app
