"""One connection to a service: one request at a time, and its answer as it comes (HTTP/1.1, parsed by httptools).

How the services are reached: httpx's requests and responses over connections that are kept.

Why not httpx's own transport: docs/decisions/gateway-transport.md.
"""

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import cast

import httptools
import httpx

from services.gateway.messages import Body

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


_Origin = tuple[str, str, int]


class PooledTransport(httpx.AsyncBaseTransport):
    """Answers nothing by itself: no cookies, no redirects, no proxies, nothing unpacked, nothing sent twice.

    A request has a `Body` for a stream, and the extensions `timeout` and `sni_hostname`.
    """

    def __init__(self, *, max_connections: int, idle_s: float) -> None:
        """A request over `max_connections` waits, as long as `timeout` says of the pool; a connection that is idle for
        `idle_s` is used no more."""
        self._places = asyncio.Semaphore(max_connections)
        self._idle_s = idle_s
        self._idle: defaultdict[_Origin, deque[tuple[float, Connection]]] = defaultdict(deque)  # the oldest first

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises the httpx.TransportError that says how far the request has come."""
        head, body = _written(request)
        await self._place(request.extensions["timeout"]["pool"])
        connection = None
        try:
            origin = _origin(request)
            connection = self._kept(origin) or await self._opened(origin, request)
            await connection.ask(head, body)
        except BaseException:
            self._places.release()
            if connection is not None:
                connection.close()
            raise
        stream = _Content(self, origin, connection)
        return httpx.Response(connection.status, headers=connection.headers, stream=stream)

    def take_back(self, origin: _Origin, connection: Connection) -> None:
        """The end of an answer, read or not."""
        self._places.release()
        kept, now = self._idle[origin], asyncio.get_running_loop().time()
        if connection.is_reusable:
            kept.append((now + self._idle_s, connection))
        else:
            connection.close()
        while kept and kept[0][0] <= now:
            kept.popleft()[1].close()

    async def aclose(self) -> None:
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()

    async def _place(self, patience: float) -> None:
        if not self._places.locked():  # without a timer, as is usual
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(patience):
                await self._places.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("all connections are in use") from error

    def _kept(self, origin: _Origin) -> Connection | None:
        """The connection that was used last: of those that nobody needs any more the time runs out."""
        kept, now = self._idle[origin], asyncio.get_running_loop().time()
        while kept:
            until, connection = kept.pop()
            if now < until and connection.is_reusable:
                return connection
            connection.close()
        return None

    async def _opened(self, origin: _Origin, request: httpx.Request) -> Connection:
        scheme, host, port = origin
        patience = request.extensions["timeout"]
        security = {"ssl": self._tls, "server_hostname": request.extensions["sni_hostname"]}
        try:
            async with asyncio.timeout(patience["connect"]):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(patience["read"]), host, port, **(security if scheme == "https" else {})
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("the service does not take the connection") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


class _Content(httpx.AsyncByteStream):
    def __init__(self, transport: PooledTransport, origin: _Origin, connection: Connection) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.pieces()

    async def aclose(self) -> None:
        self._transport.take_back(self._origin, self._connection)


def _origin(request: httpx.Request) -> _Origin:
    url = request.url
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _written(request: httpx.Request) -> tuple[bytes, Sequence[bytes]]:
    """The head as it is sent, and the pieces of the body."""
    assert isinstance(request.stream, Body)
    fields = request.headers.raw
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % field for field in fields]
    head = b"\r\n".join([*lines, b"", b""])
    if head.count(b"\n") != len(fields) + 2 or head.count(b"\r") != len(fields) + 2:
        raise httpx.LocalProtocolError("a header has a line break in it")
    return head, request.stream.pieces
