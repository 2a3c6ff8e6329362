"""What a host says beside the picture: statuses, how long to wait, and whether it objects to the use."""

import time
from email.utils import parsedate_to_datetime

import httpx

from training.data.download.reasons import Lost, Reason

_WAIT_S = 5.0  # for a host that says "too many requests" and not for how long
# Directives of X-Robots-Tag by which a host objects to what we do.
_OBJECTIONS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})


def check_answer(response: httpx.Response, user_agent: str) -> None:
    """Raises Lost unless there is something to read that may be used."""
    status = response.status_code
    if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
        raise Lost(Reason.BUSY, str(status), wait_s=_seconds(response.headers.get("Retry-After", "")))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Lost(Reason.SERVER_ERROR, str(status))
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise Lost(Reason.GONE, str(status))
    if status != httpx.codes.OK:
        raise Lost(Reason.REFUSED, str(status))
    if any(_objects(tag, user_agent) for tag in response.headers.get_list("X-Robots-Tag")):
        raise Lost(Reason.OPTED_OUT)


def _seconds(retry_after: str) -> float:
    """Retry-After in either of its forms, a number or a date (RFC 9110, 10.2.3)."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):  # missing, or nonsense
        return _WAIT_S


def _objects(tag: str, user_agent: str) -> bool:
    """Whether a tag such as "noai" or "imagetext: noindex, nofollow" objects; those for others do not count."""
    whom, colon, directives = tag.lower().rpartition(":")
    ours = not colon or whom.strip() in ("*", user_agent.partition("/")[0].lower())
    return ours and any(directive.strip() in _OBJECTIONS for directive in directives.split(","))
