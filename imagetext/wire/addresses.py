"""Resolves host names, and tells public addresses from others."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

Resolve = Callable[[str, int], Awaitable[list[str]]]  # raises OSError

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
