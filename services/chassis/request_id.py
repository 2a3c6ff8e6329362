"""Headers as ASGI has them: pairs of bytes. A look at one of them costs less than an object around all.

One id per request: taken over from the caller or made here, logged everywhere, returned as `X-Request-ID`.
"""

import os
import re
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request's header, None without one. `name` is in small letters, as ASGI's names are."""
    for each, value in scope["headers"]:
        if each == name:
            return bytes(value).decode("latin-1")
    return None


HEADER = "X-Request-ID"

_RAW_HEADER = HEADER.lower().encode()
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request that runs in this context; None outside a request."""
    return _request_id.get()


class RequestIdMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _accepted(header(scope, _RAW_HEADER)) or os.urandom(16).hex()
        own = (_RAW_HEADER, request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [each for each in message.get("headers", ()) if each[0].lower() != _RAW_HEADER]
                message = {**message, "headers": [*others, own]}
            await send(message)

        token = _request_id.set(request_id)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            _request_id.reset(token)


def _accepted(sent: str | None) -> str | None:
    return sent if sent is not None and _ACCEPTED.fullmatch(sent) else None
