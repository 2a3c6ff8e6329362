"""One log line per request.

Prometheus metrics: every request counted and timed by its route, and the page that shows them.
"""

import logging
import time
from collections.abc import Callable
from functools import cache

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Asked for every second or two by the gateway and by whoever watches; at INFO they would bury the rest.
_QUIET_PATHS = frozenset(
    {
        *("/health/live", "/health/ready", "/metrics"),
        *("/v1/models", "/v1/index", "/v1/index/versions", "/v1/index/build"),
    }
)
_CLIENT_GONE = 499  # nginx's number for a request whose client did not wait for the answer
_UNANSWERED = 500

log = logging.getLogger(__name__)


class AccessLogMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        level = logging.DEBUG if scope.get("path") in _QUIET_PATHS else logging.INFO
        if scope["type"] != "http" or not log.isEnabledFor(level):
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        status, bytes_in, bytes_out = _CLIENT_GONE, 0, 0

        async def counted_receive() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, bytes_out
            status = message.get("status", status)
            bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, counted_receive, counted_send)
        except BaseException:
            status = _UNANSWERED
            raise
        finally:
            fields = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "duration_ms": round((time.perf_counter() - start) * 1000, 1),
                "bytes_in": bytes_in,
                "bytes_out": bytes_out,
                "client": scope["client"][0] if scope.get("client") else None,
            }
            log.log(level, "request", extra={"fields": fields})


_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class MetricsMiddleware:
    """Labels are the route's template and the status: addresses and methods that callers invent add no series."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.requests = Counter("http_requests", "Requests answered", ["route", "status"], registry=registry)
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time to the end of the answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Finding a series by its labels takes longer than counting in it; routes and statuses are few.
        self._requests_of = cache(self.requests.labels)
        self._duration_of = cache(self.duration.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        status = str(_CLIENT_GONE)

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except BaseException:
            status = "500"
            raise
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._requests_of(route, status).inc()
            self._duration_of(route).observe(time.perf_counter() - start)


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
