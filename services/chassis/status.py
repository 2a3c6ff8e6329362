"""Live: the process answers. Ready: it can do its work, or says for each part why not."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from imagetext.wire.contracts import Health

Ready = Callable[[], Mapping[str, str]]  # one sentence for each part that is not ready; empty when all are

_RETRY_AFTER_SECONDS = "2"


def health_router(ready: Ready) -> APIRouter:
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
