"""Which addresses a name stands for, and which of them lie on the public internet.

A list of addresses comes from strangers: without this, one of its lines, or a redirect, could read from our network.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import httpx

from training.data.download.reasons import Lost, Reason

Resolve = Callable[[str, int], Awaitable[list[str]]]  # raises OSError

PORTS = {"http": 80, "https": 443}

_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")  # the rest either is no one's or hides an IPv4 address
_IPV6_TUNNELS = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))  # Teredo, 6to4


async def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of `host`, as the system knows them. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that no name can have
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_public(address: str) -> bool:
    """Whether this IP address is one machine on the public internet; an IPv4 address in IPv6 form counts as IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip not in _IPV6_UNICAST or any(ip in tunnel for tunnel in _IPV6_TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def parse_address(address: str, base: httpx.URL | None = None) -> httpx.URL:
    """The parsed address, relative to `base` where it is a redirect. Raises Lost."""
    try:
        url = base.join(address) if base else httpx.URL(address)
        known = url.scheme in PORTS and bool(url.raw_host) and not url.userinfo and 0 < port_of(url) < 65_536
    except (httpx.InvalidURL, ValueError):
        known = False
    if not known:
        raise Lost(Reason.BAD_ADDRESS)
    return url


def port_of(url: httpx.URL) -> int:
    return PORTS[url.scheme] if url.port is None else url.port
