"""Puts a service together from its own routers and from what all services share: middleware, health and metrics."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from imagetext.wire.contracts import Health, Problem
from services.chassis.limits import BodyLimitMiddleware
from services.chassis.observing import ObservingMiddleware, metrics_router
from services.chassis.problems import MEDIA_TYPE, ProblemsMiddleware, add_problem_handlers

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]
Ready = Callable[[], Mapping[str, str]]  # one sentence for each part that is not ready; empty when all are

_RETRY_AFTER_SECONDS = "2"
_PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as RFC 9457 problem details",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response, without FastAPI's parameters between.

    For searches alone, of whose processor time FastAPI would take a fifth (docs/decisions/request-bodies.md). It is
    documented like any other route.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


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
        service: its name, for the API's title.
        lifespan: opens what the service needs and closes it; the mapping that it yields is `request.state`.
        ready: says which parts are not ready, and why.
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
            Middleware(ObservingMiddleware, registry),
            Middleware(ProblemsMiddleware),
            Middleware(BodyLimitMiddleware, max_body_bytes),
        ],
    )
    add_problem_handlers(app)
    for router in (*routers, health_router(ready), metrics_router(registry)):
        _add_routes(app, router)
    return app


def _add_routes(app: FastAPI, router: APIRouter) -> None:
    """Not by `include_router`, which matches each request twice and asks every router before the right one."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.responses = _PROBLEM_RESPONSE | route.responses
        app.router.routes.append(route)


def health_router(ready: Ready) -> APIRouter:
    """/health/live: the process answers. /health/ready: it can do its work, or says for each part why not."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> Health:
        return Health(status="ok")

    @router.get("/ready", response_model=Health)
    async def readiness() -> JSONResponse:
        missing = dict(ready())
        if not missing:
            return JSONResponse(Health(status="ok").model_dump())
        return JSONResponse(
            Health(status="unavailable", parts=missing).model_dump(),
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"Retry-After": _RETRY_AFTER_SECONDS},
        )

    return router


def not_stored(response: Response) -> None:
    """A dependency: no cache on the way keeps the answer."""
    response.headers["Cache-Control"] = "no-store"
