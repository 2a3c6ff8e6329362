"""What is observed of each request: an id, one log line, and Prometheus metrics.

The id is the caller's `X-Request-ID` or a new one. Every log line of the request carries it, and so does the response.
"""

import logging
import os
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER = "X-Request-ID"

_RAW_ID_HEADER = REQUEST_ID_HEADER.lower().encode()
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Polled by the gateway and by monitoring every second or two; at INFO they would bury the rest.
_QUIET_PATHS = frozenset(
    {
        *("/health/live", "/health/ready", "/metrics"),
        *("/v1/models", "/v1/index", "/v1/index/versions", "/v1/index/build"),
    }
)
_CLIENT_GONE = 499  # nginx's status for a request whose client did not wait for the answer
_UNANSWERED = 500
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

log = logging.getLogger(__name__)


def current_request_id() -> str | None:
    """The id of the request that runs in this context; None outside a request."""
    return _request_id.get()


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request's header, or None; `name` in lower case. Cheaper than building a Headers object."""
    for each, value in scope["headers"]:
        if each == name:
            return bytes(value).decode("latin-1")
    return None


class ObservingMiddleware:
    """The outermost middleware. Metrics are labelled by route template and status: callers cannot add series."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        requests = Counter("http_requests", "Requests answered", ["route", "status"], registry=registry)
        duration = Histogram(
            "http_request_duration_seconds",
            "Time to the end of the answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Looking up a series by its labels takes longer than counting in it; routes and statuses are few.
        self._requests_of = cache(requests.labels)
        self._duration_of = cache(duration.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        status, bytes_in, bytes_out = _CLIENT_GONE, 0, 0
        request_id = _sound(header(scope, _RAW_ID_HEADER)) or os.urandom(16).hex()

        async def observed_receive() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def observed_send(message: Message) -> None:
            nonlocal status, bytes_out
            if message["type"] == "http.response.start":
                status = message["status"]
                others = [each for each in message.get("headers", ()) if each[0].lower() != _RAW_ID_HEADER]
                message = {**message, "headers": [*others, (_RAW_ID_HEADER, request_id.encode())]}
            else:
                bytes_out += len(message.get("body", b""))
            await send(message)

        token = _request_id.set(request_id)
        try:
            await self.app(scope, observed_receive, observed_send)
        except BaseException:
            status = _UNANSWERED
            raise
        finally:
            seconds = time.perf_counter() - start
            self._count(scope, status, seconds)
            _log(scope, status, seconds, bytes_in, bytes_out)
            _request_id.reset(token)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._requests_of(route, str(status)).inc()
        self._duration_of(route).observe(seconds)


def _sound(sent: str | None) -> str | None:
    return sent if sent is not None and _SOUND_ID.fullmatch(sent) else None


def _log(scope: Scope, status: int, seconds: float, bytes_in: int, bytes_out: int) -> None:
    level = logging.DEBUG if scope["path"] in _QUIET_PATHS else logging.INFO
    if log.isEnabledFor(level):
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "client": scope["client"][0] if scope.get("client") else None,
        }
        log.log(level, "request", extra={"fields": fields})


class ModelMetrics:
    """What a model's batcher does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge("model_queue_items", "Items that wait for the model", registry=registry)
        self.sizes = Histogram("model_batch_items", "Items in a batch", buckets=_BATCH_SIZES, registry=registry)
        self.seconds = Histogram("model_batch_seconds", "Time of a batch", buckets=_SECONDS, registry=registry)

    def watch(self, waiting: Callable[[], int]) -> None:
        self.waiting.set_function(waiting)

    def observe(self, size: int, seconds: float) -> None:
        self.sizes.observe(size)
        self.seconds.observe(seconds)


def metrics_router(registry: CollectorRegistry) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
