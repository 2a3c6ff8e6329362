"""Replies to searches as bytes. What the gateway changes in one is `took_ms`, its last field, and that without reading
the rest: a reply is passed on and kept open, without its time and its end."""

import re

_NAME = b'"took_ms":'
_END = re.compile(rb"\s*[-+.0-9eE]+\s*\}\s*")


def opened(reply: bytes) -> bytes:
    """A whole reply up to the value of `took_ms`. Raises ValueError for what is no reply to a search."""
    start, name, end = reply.rpartition(_NAME)
    if not (name and start.startswith(b"{") and _END.fullmatch(end)):
        raise ValueError("not a reply to a search")
    return start + name


def closed(reply: bytes, seconds: float) -> bytes:
    """An open reply as one that took so long."""
    return reply + b"%.1f}" % (seconds * 1000)
