"""Asks other people's servers politely: a pause for each host, retries that wait longer and longer, caps on all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from imagetext.wire.errors import DeadlineExceeded, InvalidParameter, TooLarge, Unavailable

AGENT = "imagetext-collect"  # how we name ourselves, also where robots.txt is read
MAX_ANSWER = 5_000_000  # bytes of anything that is not a picture
_PASSING = frozenset({429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status; `retry_after` in seconds."""

    status: int
    body: bytes
    retry_after: float | None = None


def is_passing(answer: Answer) -> bool:
    """Whether asking again may help."""
    return answer.status in _PASSING


class _Passing(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Pace:
    """At most one request to a host in `pause_s` seconds."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._next: dict[str, float] = {}

    def wait(self, host: str) -> None:
        now = time.monotonic()
        due = self._next.get(host, now)
        if due > now:
            time.sleep(due - now)
        self._next[host] = max(due, now) + self._pause_s


class PoliteClient:
    def __init__(
        self,
        user_agent: str,
        *,
        pause_s: float = 1.0,
        attempts: int = 4,
        timeout_s: float = 20.0,
        whole_s: float = 60.0,
        wait_s: float = 2.0,
    ) -> None:
        """`timeout_s` holds for each read, `whole_s` for a whole answer; `wait_s` before the second attempt."""
        self.pace = Pace(pause_s)
        self._attempts = attempts
        self._whole_s = whole_s
        self._wait_s = wait_s
        headers = {"User-Agent": user_agent}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, follow_redirects=True, max_redirects=5)

    def close(self) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        url: str,
        *,
        max_bytes: int = MAX_ANSWER,
        again: Callable[[Answer], bool] = is_passing,
        **request: Any,
    ) -> Answer:
        """The answer, after several attempts as long as `again` says so; `request` as httpx takes it.

        Raises:
            InvalidParameter: not an http or https address.
            Unavailable: the host cannot be reached or breaks off.
            DeadlineExceeded, TooLarge: the answer takes too long or too much; not tried again.
        """
        host = _host(url)
        waits = {"wait_initial": self._wait_s, "wait_max": 30.0, "wait_jitter": self._wait_s / 2}
        try:
            for attempt in stamina.retry_context(_worth_another, attempts=self._attempts, timeout=None, **waits):
                with attempt:
                    answer = self._once(method, url, max_bytes, request)
                    if again(answer):
                        raise _Passing(answer)
        except _Passing as passing:
            return passing.answer
        except httpx.TransportError as error:
            raise Unavailable(f"{host} cannot be reached or breaks off its answer.") from error
        return answer

    def _once(self, method: str, url: str, max_bytes: int, request: dict[str, Any]) -> Answer:
        self.pace.wait(_host(url))
        until = time.monotonic() + self._whole_s
        body = bytearray()
        try:
            with self._client.stream(method, url, **request) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > max_bytes:
                        raise TooLarge(f"The answer has more than {max_bytes:,} bytes.")
                    if time.monotonic() > until:
                        raise DeadlineExceeded(f"The answer took longer than {self._whole_s:g} seconds.")
        except (httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise Unavailable(f"{_host(url)} redirects in a circle or answers in a broken encoding.") from error
        return Answer(response.status_code, bytes(body), _seconds(response.headers.get("Retry-After")))


def _worth_another(error: Exception) -> bool | float:
    """Whether, or after how many seconds: a host that says when it wants to be asked again is obeyed."""
    if isinstance(error, _Passing):
        wait = error.answer.retry_after
        if wait is None:
            return True
        return max(wait, 0.1) if wait <= _LONGEST_WAIT_S else False
    return isinstance(error, httpx.TransportError)


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidParameter("This is not an address.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidParameter("This is not an http or https address.")
    return parsed.host


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
