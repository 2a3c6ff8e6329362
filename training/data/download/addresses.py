"""The addresses of a list, parsed."""

import httpx

from training.data.download.reasons import Lost, Reason

PORTS = {"http": 80, "https": 443}


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
