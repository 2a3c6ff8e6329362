"""Puts a service together from its own routers and the pieces that all services share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from imagetext.wire.contracts import Problem
from services.chassis.limits import BodyLimitMiddleware
from services.chassis.observing import AccessLogMiddleware, MetricsMiddleware, metrics_router
from services.chassis.problems import MEDIA_TYPE, ProblemsMiddleware, add_problem_handlers
from services.chassis.request_id import RequestIdMiddleware
from services.chassis.status import Ready, health_router

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

_PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as RFC 9457 problem details",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}


def create_app(
    service: str,
    *,
    lifespan: Lifespan,
    ready: Ready,
    max_body_bytes: int,
    routers: Sequence[APIRouter],
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """A service's application.

    Args:
        service: its name, as the API's title has it.
        lifespan: opens what the service needs and closes it; the mapping that it yields is `request.state`.
        ready: one sentence for each part that is not ready.
        max_body_bytes: a larger request body is refused.
        routers: the service's own endpoints.
        registry: where the service registered metrics of its own; a new one when left out.
    """
    registry = registry or CollectorRegistry()
    app = FastAPI(
        title=f"imagetext {service}",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's pages load their scripts from the internet; /openapi.json does not
        redoc_url=None,
        middleware=[  # the first is the outermost
            Middleware(RequestIdMiddleware),
            Middleware(AccessLogMiddleware),
            Middleware(MetricsMiddleware, registry),
            Middleware(ProblemsMiddleware),
            Middleware(BodyLimitMiddleware, max_body_bytes),
        ],
    )
    add_problem_handlers(app)
    for router in (*routers, health_router(ready), metrics_router(registry)):
        _add_routes(app, router)
    return app


def _add_routes(app: FastAPI, router: APIRouter) -> None:
    """Not by `include_router`: it finds the route of each request twice, and asks every router before the right one."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.responses = _PROBLEM_RESPONSE | route.responses
        app.router.routes.append(route)
