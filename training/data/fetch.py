"""Fetches a picture from an address, within limits of size, time and redirects, and politely: few requests to a host at
once, a pause between them, and none while it asks to wait.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx
import stamina

from imagetext.pictures.formats import find_reader
from imagetext.wire.guarded_transport import PrivateHost, UnknownHost, parse_url
from training.data.admission import Lost, Reason

# Consecutive failures after which a host is given up for this run: a dead host costs a timeout per address.
MAX_FAILURES = 8

_WAIT_S = 5.0  # if a host answers "too many requests" without Retry-After
_HEAD = 512  # bytes that identify every format
# Directives of X-Robots-Tag with which a host objects to our use.
_OBJECTIONS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
_FAILURES = frozenset({Reason.UNKNOWN_HOST, Reason.UNREACHABLE, Reason.TIMEOUT, Reason.BROKEN_OFF})

T = TypeVar("T")


@dataclass(frozen=True)
class Politeness:
    """Concurrent requests to one host, seconds between their starts, and the longest wait that a host may ask for."""

    at_once: int = 4
    pause_s: float = 0.1
    max_wait_s: float = 120.0


class Host:
    def __init__(self, politeness: Politeness) -> None:
        self._politeness = politeness
        self._free = asyncio.Semaphore(politeness.at_once)
        self._next = 0.0  # on the monotonic clock
        self._failures = 0
        self._given_up: Reason | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the host may be asked; remembers a Lost raised inside. Raises Lost once the host is given up."""
        async with self._free:
            # In a loop, because meanwhile another request may have started, or the host may have asked for more time.
            while (wait := self._next - time.monotonic()) > 0 and not self._given_up:  # noqa: ASYNC110
                await asyncio.sleep(wait)
            if self._given_up:
                raise Lost(self._given_up, again=False)
            self._next = time.monotonic() + self._politeness.pause_s
            try:
                yield
            except Lost as lost:
                self._remember(lost)
                raise
            self._failures = 0

    def _remember(self, lost: Lost) -> None:
        if lost.wait_s is not None:
            if lost.wait_s > self._politeness.max_wait_s:
                self._given_up = Reason.BUSY
            self._next = max(self._next, time.monotonic() + min(lost.wait_s, self._politeness.max_wait_s))
        self._failures = self._failures + 1 if lost.reason in _FAILURES else 0
        if self._failures >= MAX_FAILURES:
            self._given_up = Reason.HOST_GIVEN_UP


class Hosts(defaultdict[str, Host]):
    """The state of each host by its name."""

    def __init__(self, politeness: Politeness) -> None:
        super().__init__(lambda: Host(politeness))


def parse_address(address: str, base: httpx.URL | None = None) -> httpx.URL:
    """The parsed address, relative to `base` for a redirect. Raises Lost."""
    try:
        return parse_url(address, base)
    except httpx.InvalidURL:
        raise Lost(Reason.BAD_ADDRESS) from None


def check_answer(response: httpx.Response, user_agent: str) -> None:
    """Raises Lost unless the response has a body that may be used."""
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
    """Retry-After, a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):  # missing or invalid
        return _WAIT_S


def _objects(tag: str, user_agent: str) -> bool:
    """Whether a tag such as "noai" or "imagetext: noindex, nofollow" objects; tags for other agents do not count."""
    whom, colon, directives = tag.lower().rpartition(":")
    ours = not colon or whom.strip() in ("*", user_agent.partition("/")[0].lower())
    return ours and any(directive.strip() in _OBJECTIONS for directive in directives.split(","))


@dataclass(frozen=True)
class FetchLimits:
    """`max_seconds` limits one attempt with its redirects, without the waits for hosts."""

    max_bytes: int = 20_000_000
    max_seconds: float = 30.0
    max_redirects: int = 5
    attempts: int = 3
    wait_s: float = 1.0  # before the second attempt; doubled before the third
    at_once: int = 64  # requests to all hosts together


class Fetcher:
    """Fetches pictures through a transport, which decides what hosts may be connected to."""

    def __init__(self, hosts: Hosts, limits: FetchLimits, user_agent: str, transport: httpx.AsyncBaseTransport) -> None:
        """`transport` is closed with the fetcher."""
        self._hosts = hosts
        self._limits = limits
        self._user_agent = user_agent
        self._transport = transport
        self._slots = asyncio.Semaphore(limits.at_once)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def fetch(self, address: str, accept: Callable[[bytes], Awaitable[T]]) -> T:
        """The result of `accept` for the picture at the address; temporary failures are retried.

        The slot of a download is held until `accept` is done, which bounds the files in memory.

        Raises:
            Lost: there is no picture; and what `accept` raises.
        """
        waits = {"wait_initial": self._limits.wait_s, "wait_max": 30.0, "wait_jitter": self._limits.wait_s / 2}
        async for attempt in stamina.retry_context(_may_pass, attempts=self._limits.attempts, timeout=None, **waits):
            with attempt:
                return await self._follow(parse_address(address), accept)
        raise AssertionError  # the last attempt returns or raises

    async def _follow(self, url: httpx.URL, accept: Callable[[bytes], Awaitable[T]]) -> T:
        seconds = self._limits.max_seconds
        for _ in range(self._limits.max_redirects + 1):
            # One host at a time: holding one while waiting for another could deadlock.
            async with self._hosts[url.host].turn(), self._slots:
                began = time.monotonic()
                answer = await self._ask_within(seconds, url)
                if isinstance(answer, bytes):
                    return await accept(answer)
                seconds -= time.monotonic() - began
            url = answer
        raise Lost(Reason.REDIRECTS)

    async def _ask_within(self, seconds: float, url: httpx.URL) -> bytes | httpx.URL:
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(url)
        except (TimeoutError, httpx.TimeoutException):
            raise Lost(Reason.TIMEOUT) from None

    async def _ask(self, url: httpx.URL) -> bytes | httpx.URL:
        """The bytes at `url`, or its redirect."""
        try:
            return await self._get(url)
        except UnknownHost:
            raise Lost(Reason.UNKNOWN_HOST) from None
        except PrivateHost:
            raise Lost(Reason.PRIVATE) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Lost(Reason.UNREACHABLE) from None
        except httpx.TimeoutException:
            raise
        except httpx.TransportError as error:
            raise Lost(Reason.BROKEN_OFF, type(error).__name__) from error

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        seconds = self._limits.max_seconds
        request = httpx.Request(
            "GET",
            url,
            headers={"User-Agent": self._user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
            extensions={"timeout": httpx.Timeout(seconds, connect=seconds / 2).as_dict()},
        )
        response = await self._transport.handle_async_request(request)
        try:
            if response.has_redirect_location:
                return parse_address(response.headers["Location"], base=url)
            check_answer(response, self._user_agent)
            return await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._limits.max_bytes:
            raise Lost(Reason.TOO_LARGE, f"{length} bytes")
        body, known = bytearray(), False
        async for chunk in response.aiter_raw():  # raw: a compressed body is not unpacked
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise Lost(Reason.TOO_LARGE, f"more than {self._limits.max_bytes} bytes")
            if not known and len(body) >= _HEAD:  # stop early for anything but a picture
                _check_head(body)
                known = True
        _check_head(body)
        return bytes(body)


def _check_head(body: bytearray) -> None:
    if find_reader(bytes(body[:_HEAD])) is None:
        raise Lost(Reason.NOT_A_PICTURE, "" if body else "empty")


def _may_pass(error: Exception) -> bool:
    return isinstance(error, Lost) and error.again
