"""How the services are reached: httpx's requests and responses over connections that are kept.

Why not httpx's own transport: docs/decisions/gateway-transport.md.
"""

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from functools import cached_property

import httpx

from services.gateway.connection import Connection
from services.gateway.outgoing import Body

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
