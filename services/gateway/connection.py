"""One connection to a service: one request at a time, and its answer as it comes (HTTP/1.1, parsed by httptools)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import cast

import httptools
import httpx

_MAX_HEAD_BYTES = 64 * 1024
_MAX_UNREAD_BYTES = 256 * 1024  # then the service has to wait
_FIRST_FINAL_STATUS = 200  # below are notes that come before an answer
_LENGTHS = (b"content-length", b"transfer-encoding")


class Connection(asyncio.Protocol):
    """Raises httpx's errors: ReadTimeout for silence, RemoteProtocolError and ReadError for what breaks off."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s` is for the silence between two pieces of an answer."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None  # while an answer is expected or comes
        self._pieces: deque[bytes] = deque()
        self._unread_bytes = 0
        self._head_bytes = 0
        self._has_head = False
        self._is_paused = False
        self._is_complete = True
        self._may_stay = False
        self._error: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent: both sides are done with the last one, and want it."""
        transport = self._transport
        return (
            self._may_stay
            and self._is_complete
            and not self._pieces
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, head: bytes, body: Sequence[bytes]) -> None:
        """Sends a request, in pieces that are not copied; returns when `status` and `headers` are there."""
        if self._transport is None or self._transport.is_closing():
            raise httpx.RemoteProtocolError("the connection was closed")
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = self._is_complete = self._may_stay = False
        self._head_bytes = 0
        self._transport.writelines([head, *body])
        while not self._has_head:
            await self._news()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body of the answer."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._unread_bytes -= len(piece)
                yield piece
            if self._is_complete:
                return
            await self._news()

    async def _news(self) -> None:
        if self._error is not None:
            raise self._error
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._waiter
        except TimeoutError:
            raise httpx.ReadTimeout("the service is silent") from None
        finally:
            self._waiter = None
        if self._error is not None and not self._is_complete:
            raise self._error

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        self._error = self._error or error
        self._may_stay = False
        self.close()
        self._tell()

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no children of asyncio's

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._is_complete:
            self._fail(httpx.RemoteProtocolError("the service speaks without being asked"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(httpx.RemoteProtocolError("the answer is no HTTP"))
        self._tell()

    def eof_received(self) -> None:
        """A body without a length of its own is over with this."""
        if self._has_head and not self._is_complete and not any(name.lower() in _LENGTHS for name, _ in self.headers):
            self._is_complete = True
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_complete:
            self._fail(httpx.ReadError(str(exc)) if exc else httpx.RemoteProtocolError("the service broke off"))
        self._may_stay = False

    # The parser's side

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise httptools.HttpParserError("a second answer came behind the first")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the head of the answer is too long"))
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FIRST_FINAL_STATUS
        self._may_stay = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._unread_bytes += len(body)
        if self._unread_bytes > _MAX_UNREAD_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._is_complete = self._has_head
