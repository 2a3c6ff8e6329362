"""One log line per request."""

import logging
import time

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
