"""Fetches the picture that a caller names by its address.

`GuardedTransport` keeps the caller out of our own network, redirects included; size and time are bounded here.
"""

import httpx

from imagetext.wire.errors import DeadlineExceeded, ImageTextError, InvalidParameter, TooLarge, Unavailable
from imagetext.wire.guarded_transport import GuardedTransport, PrivateHost, UnknownHost, parse_url
from services.gateway.upstream import Deadline

_MAX_REDIRECTS = 3
_RETRY_AFTER_S = 5
_HEADERS = {"User-Agent": "imagetext", "Accept": "image/*", "Accept-Encoding": "identity"}


class Fetcher:
    def __init__(self, *, max_bytes: int, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`timeout_s` is for a whole fetch. Without a `transport`, only the public internet is reached."""
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        # The bare transport: a client would keep cookies and send them with somebody else's request.
        self._transport = transport or GuardedTransport()

    async def fetch(self, url: str, deadline: Deadline) -> bytes:
        """The bytes at `url`, which may be anything.

        Raises:
            InvalidParameter: `url` is not an address that may be fetched, or there is nothing.
            TooLarge: more than `max_bytes`.
            Unavailable: the site cannot be reached, broke off, or failed.
            DeadlineExceeded: the fetch took longer than `timeout_s` or `deadline` allow.
        """
        async with Deadline.after(min(self._timeout_s, deadline.remaining)).enforced():
            return await self._follow(_parsed(url))

    async def close(self) -> None:
        await self._transport.aclose()

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                answer = await self._get(url)
            except UnknownHost:
                raise InvalidParameter("The host in `url` is not known.") from None
            except PrivateHost:
                raise InvalidParameter("The address in `url` is not on the public internet.") from None
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise _unavailable("The address in `url` cannot be reached.") from error
            except httpx.TimeoutException:
                raise DeadlineExceeded("The address in `url` took too long to answer.") from None
            except httpx.TransportError as error:
                raise _unavailable("The address in `url` broke off its answer.") from error
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise InvalidParameter(f"The address in `url` redirects more than {_MAX_REDIRECTS} times.")

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The bytes at `url`, or where it redirects to."""
        timeout = httpx.Timeout(self._timeout_s).as_dict()
        request = httpx.Request("GET", url, headers=_HEADERS, extensions={"timeout": timeout})
        response = await self._transport.handle_async_request(request)
        try:
            if response.has_redirect_location:
                return _parsed(response.headers["Location"], base=url)
            if response.status_code != httpx.codes.OK:
                raise _refusal(response.status_code)
            return await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():  # raw: what unpacks to gigabytes stays packed
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLarge(f"The file at `url` is larger than {self._max_bytes / 1e6:.3g} MB.")
        return bytes(body)


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return parse_url(url, base)
    except httpx.InvalidURL as error:
        raise InvalidParameter(f"`url` {error}.") from None


def _refusal(status: int) -> ImageTextError:
    sentence = f"The address in `url` answers with status {status}."
    return _unavailable(sentence) if status >= httpx.codes.INTERNAL_SERVER_ERROR else InvalidParameter(sentence)


def _unavailable(sentence: str) -> Unavailable:
    return Unavailable(sentence, retry_after=_RETRY_AFTER_S)
