"""The gateway as an ASGI application: the API, and the page where no web server stands in front."""

from pathlib import Path

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from imagetext.wire.guarded_transport import Resolve, resolve
from services.chassis import app as chassis
from services.gateway.endpoints import router, search_router
from services.gateway.fetch import Fetcher
from services.gateway.lifespan import build_gateway
from services.gateway.operator_endpoints import change_router, index_router
from services.gateway.settings import Settings

SERVICE = "gateway"

# The same that services/web/nginx.conf sends.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_CACHE_CONTROL = "no-cache"  # kept but revalidated: thanks to the ETag that costs no bytes


class Page(StaticFiles):
    """Answers every request that no route of the API takes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["path"].startswith("/v1/"):
            raise HTTPException(404)  # a mistyped path of the API, whatever the method
        response = await super().get_response(path, scope)
        response.headers.update(SECURITY_HEADERS)
        response.headers["Cache-Control"] = _CACHE_CONTROL
        return response


def create_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    resolve: Resolve = resolve,
    fetcher: Fetcher | None = None,
) -> FastAPI:
    """The gateway.

    Args:
        settings: what the environment says, or a test.
        transport: how the services are reached; the network when left out.
        resolve: finds the addresses of the services.
        fetcher: fetches pictures by their address; from the public internet when left out.
    """
    registry = CollectorRegistry()
    gateway = build_gateway(settings, registry, transport=transport, resolve=resolve, fetcher=fetcher)
    app = chassis.create_app(
        "gateway",
        lifespan=gateway.lifespan,
        ready=gateway.not_ready,
        max_body_bytes=settings.max_body_bytes,
        routers=[search_router, router, index_router, change_router],
        registry=registry,
    )
    if settings.web_folder is not None:
        app.router.default = Page(settings.web_folder)
    return app
