"""Limits on what requests take: how many are worked on at once, how large a body is, and how long it may arrive."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagetext.wire.errors import Busy, DeadlineExceeded, ImageTextError, TooLarge
from services.chassis.observing import header
from services.chassis.problems import problem_response

# A client throws the answer away (TCP reset) if the server closes the connection while it still sends. So the rest of a
# refused body is read and dropped, up to these limits.
_DRAIN_SECONDS = 10.0
_DRAIN_FACTOR = 8  # times the limit on the body


class Admission:
    """The bound at a service's door: requests from before their body is read until they are answered."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Raises Busy when `limit` requests are inside."""
        if self.inside >= self.limit:
            raise Busy(f"{self.limit} requests are being worked on already, which is the most.")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class BodyLimitMiddleware:
    """Refuses a body of more than `max_bytes`, announced or counted, or that takes more than `max_seconds` to arrive.

    The handler's `receive` raises then. Whatever the handler makes of that, the client gets the problem (413 or 504),
    unless the response had begun.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_seconds: float = 60.0) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _LimitedBody(receive, self.max_bytes, self.max_seconds)
        if _announced_bytes(scope) > self.max_bytes:
            await _refuse(_too_large(self.max_bytes), body, scope, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if body.refusal is None or started:
                started = True
                await send(message)

        try:
            await self.app(scope, body.receive, guarded_send)
        except Exception:
            if started or body.refusal is None:
                raise
        if body.refusal is not None and not started:
            await _refuse(body.refusal, body, scope, send)


class _LimitedBody:
    """Passes a body on until it exceeds a limit; `refusal` then says which."""

    def __init__(self, receive: Receive, max_bytes: int, max_seconds: float) -> None:
        self.refusal: ImageTextError | None = None
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline = time.monotonic() + max_seconds
        self._received = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # only the disconnect is left to come, at any time
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            self.refusal = DeadlineExceeded("The request took too long to arrive.")
            raise self.refusal from None
        self._complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            self.refusal = _too_large(self._max_bytes)
            raise self.refusal
        return message

    async def drain(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, min(_DRAIN_SECONDS, self._deadline - time.monotonic()))):
                while not self._complete and self._received < self._max_bytes * _DRAIN_FACTOR:
                    message = await self._receive()
                    self._received += len(message.get("body", b""))
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            return


async def _refuse(error: ImageTextError, body: _LimitedBody, scope: Scope, send: Send) -> None:
    response = problem_response(error)
    response.headers["Connection"] = "close"

    async def send_then_drain(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        await body.drain()
        await send({"type": "http.response.body", "body": b""})

    await response(scope, body.receive, send_then_drain)


def _announced_bytes(scope: Scope) -> int:
    announced = header(scope, b"content-length") or ""
    return int(announced) if announced.isascii() and announced.isdigit() else 0


def _too_large(max_bytes: int) -> TooLarge:
    size = f"{max_bytes / 1e6:.3g} MB" if max_bytes >= 100_000 else f"{max_bytes} bytes"
    return TooLarge(f"The request is larger than the {size} that are accepted.")
