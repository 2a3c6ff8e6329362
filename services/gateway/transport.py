"""The connections to the services: aiohttp's, behind httpx's interface.

Why aiohttp, and why not through the package httpx-aiohttp: docs/decisions/gateway-transport.md.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
from yarl import URL

from services.gateway.messages import Body

_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # what Upstream sends is all that is sent


class ServiceTransport(httpx.AsyncBaseTransport):
    """No cookies, redirects, proxies or decompression, and no request is sent twice: `Upstream` decides about that.

    A request's stream is a `Body`; its extensions are `timeout` and `sni_hostname`.
    """

    def __init__(self, *, max_connections: int, idle_s: float) -> None:
        """A request beyond `max_connections` waits for the pool timeout; a connection idle for `idle_s` is closed."""
        # Not the connector's own limit, because aiohttp has one error for a full pool and for a slow connect.
        self._free = asyncio.Semaphore(max_connections)
        self._idle_s = idle_s
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises the httpx.TransportError that says how far the request came."""
        body, timeout = request.stream, request.extensions["timeout"]
        assert isinstance(body, Body)
        await self._acquire(timeout["pool"])
        try:
            response = await self._open_session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=body if body.pieces else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=timeout["connect"], sock_read=timeout["read"]),
                server_hostname=request.extensions["sni_hostname"],
            )
        except BaseException:
            self._free.release()
            raise
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Content(response, self._free))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _acquire(self, patience_s: float) -> None:
        if not self._free.locked():  # as usual: spares the timer
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are in use") from None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._idle_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NOT_ADDED,
                auto_decompress=False,
                middlewares=(_sent_once,),
            )
        return self._session


class _Content(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse, free: asyncio.Semaphore) -> None:
        self._response = response
        self._free = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.release()  # which closes the connection unless everything was sent and read
        self._free.release()


async def _sent_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from repeating a GET or DELETE that broke off: it repeats after its own errors only."""
    with _httpx_errors():
        return await send(request)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("the service did not accept the connection in time") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.SocketTimeoutError as error:
        raise httpx.ReadTimeout("the service sent nothing for too long") from error
    except OSError as error:
        raise httpx.ReadError(str(error)) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
