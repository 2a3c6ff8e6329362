"""The guard against server-side request forgery: an httpx transport that connects to the public internet only.

For URLs that a stranger chose. It speaks http and https, resolves the host once, refuses it unless every address of it
is public, and connects to the addresses that it checked, so a name that changes in between (DNS rebinding) gains
nothing. It follows no redirects: whoever does sends a new request, which is checked like the first. Limits on size
and time are the caller's.

The caller needs httpx installed, and must keep cookies and credentials out of requests to strangers: use the transport
itself, or a client that is thrown away.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import httpx

Resolve = Callable[[str, int], Awaitable[list[str]]]  # raises OSError

_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
# The only IPv6 block assigned to networks on the internet. Other addresses that `ipaddress` counts as global are ways
# to write an IPv4 address: ::/96, 64:ff9b::/96 (NAT64), or the site-local fec0::/10.
_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
_IPV6_TUNNELS = (
    ipaddress.IPv6Network("2001::/32"),  # Teredo
    ipaddress.IPv6Network("2002::/16"),  # 6to4
)


async def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of `host` from the system's resolver. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # an impossible label
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_public(address: str) -> bool:
    """Whether `address` is one machine on the public internet.

    An IPv4 address in IPv6 form (::ffff:1.2.3.4) counts as the IPv4 address; those of tunnels are refused,
    because they lead to an IPv4 address that nobody checked.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip not in _IPV6_UNICAST or any(ip in tunnel for tunnel in _IPV6_TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class UnknownHost(httpx.ConnectError):
    """The host has no address."""


class PrivateHost(httpx.ConnectError):
    """At least one address of the host is not on the public internet."""


class GuardedTransport(httpx.AsyncBaseTransport):
    def __init__(
        self,
        *,
        max_connections: int = 100,
        resolve: Resolve = resolve,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        """`is_allowed` judges one IP address; tests that fetch from their own machine pass another."""
        self._resolve = resolve
        self._is_allowed = is_allowed
        # No kept connections: one to an IP address was checked for one name's certificate, not for the next name's.
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response, its body not yet read.

        Raises:
            UnsupportedProtocol: neither http nor https, or no possible host or port.
            UnknownHost, PrivateHost: nothing was connected to.
            TransportError: as httpx's own transport.
        """
        if not _is_web_url(request.url):
            raise httpx.UnsupportedProtocol("must be an http or https URL", request=request)
        failure: httpx.TransportError | None = None
        for address in await self._checked_addresses(request):
            try:
                return await self._transport.handle_async_request(_sent_to(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error  # a name may have an address that this machine cannot reach, IPv6 above all
        assert failure is not None
        raise failure

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _checked_addresses(self, request: httpx.Request) -> list[str]:
        try:
            addresses = await self._resolve(_host(request.url), _port(request.url))
        except OSError as error:
            raise UnknownHost("the host is not known", request=request) from error
        if not addresses:
            raise UnknownHost("the host has no address", request=request)
        if not all(self._is_allowed(address) for address in addresses):
            raise PrivateHost("the host is not on the public internet", request=request)
        return addresses


def parse_url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """`text` as an http or https URL, relative to `base` where that is given (the Location of a redirect).

    Raises:
        httpx.InvalidURL: it is none, or carries a user name or password; the message says which.
    """
    try:
        url = base.join(text) if base else httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if not _is_web_url(url):
        raise httpx.InvalidURL("must be an http or https address")
    if url.userinfo:
        raise httpx.InvalidURL("must not carry a user name or password")
    return url


def _is_web_url(url: httpx.URL) -> bool:
    try:
        return url.scheme in _PORTS and bool(url.host) and 0 < _port(url) <= _MAX_PORT
    except ValueError:  # a host that is not valid Punycode
        return False


def _sent_to(address: str, request: httpx.Request) -> httpx.Request:
    """The same request, to an IP address in place of the host, whose certificate is still checked."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,  # with the Host that was asked for
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": _host(request.url)},
    )


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _port(url: httpx.URL) -> int:
    return _PORTS[url.scheme] if url.port is None else url.port
