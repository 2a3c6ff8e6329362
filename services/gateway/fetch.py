"""Fetches the picture that a caller names by its address, without becoming a way into our own network.

The caller chooses the address, so it is checked, not trusted (server-side request forgery): http and https only,
every IP address that the name has must be public, the connection goes to the address that was checked and to no
second look-up's, and each redirect passes the same checks.
"""

from collections.abc import Callable

import httpx

from imagetext.wire.addresses import Resolve, is_public, resolve
from imagetext.wire.errors import DeadlineExceeded, ImageTextError, InvalidParameter, TooLarge, Unavailable
from services.gateway.deadline import Deadline, Gate

_MAX_REDIRECTS = 3
_AT_ONCE = 16
_QUEUE = 32
_RETRY_AFTER_S = 5
_PORTS = {"http": 80, "https": 443}
_HEADERS = {"User-Agent": "imagetext", "Accept": "image/*", "Accept-Encoding": "identity"}


class Fetcher:
    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_s: float,
        resolve: Resolve = resolve,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        """`is_allowed` judges one IP address; tests that fetch from their own machine give another."""
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._gate = Gate(_AT_ONCE, _QUEUE)
        # The bare transport, because a client would keep cookies and send them with somebody else's request.
        # No kept connections: one to an IP address was checked for one name's certificate, not for the next name's.
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def fetch(self, url: str, deadline: Deadline) -> bytes:
        """What lies at `url`, unjudged.

        Raises:
            InvalidParameter: not an address that may be fetched, or nothing is found there.
            TooLarge, Unavailable, DeadlineExceeded: as they say.
            Busy: too many are being fetched.
        """
        async with self._gate.passed(deadline):
            patience = Deadline.after(min(self._timeout_s, deadline.remaining))
            async with patience.enforced():
                return await self._follow(url)

    async def close(self) -> None:
        await self._transport.aclose()

    async def _follow(self, url: str) -> bytes:
        target = _parsed(url)
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._ask(target)
            if isinstance(answer, bytes):
                return answer
            target = answer
        raise InvalidParameter(f"The address in `url` redirects more than {_MAX_REDIRECTS} times.")

    async def _ask(self, url: httpx.URL) -> bytes | httpx.URL:
        """The bytes at `url`, or where it redirects to."""
        error: httpx.TransportError | None = None
        for address in await self._checked_addresses(url):
            try:
                return await self._get(url, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
                error = failure  # a name may have an address that this machine cannot reach, IPv6 above all
            except httpx.TimeoutException:
                raise DeadlineExceeded("The address in `url` took too long to answer.") from None
            except httpx.TransportError as failure:
                raise Unavailable("The address in `url` broke off its answer.", retry_after=_RETRY_AFTER_S) from failure
        raise Unavailable("The address in `url` cannot be reached.", retry_after=_RETRY_AFTER_S) from error

    async def _checked_addresses(self, url: httpx.URL) -> list[str]:
        try:
            addresses = await self._resolve(url.raw_host.decode("ascii"), _port(url))
        except OSError:
            raise InvalidParameter("The host in `url` is not known.") from None
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise InvalidParameter("The address in `url` is not on the public internet.")
        return addresses

    async def _get(self, url: httpx.URL, address: str) -> bytes | httpx.URL:
        request = httpx.Request(
            "GET",
            url.copy_with(host=address),
            headers={**_HEADERS, "Host": url.netloc.decode("ascii")},
            extensions={
                "sni_hostname": url.raw_host.decode("ascii"),
                "timeout": httpx.Timeout(self._timeout_s).as_dict(),
            },
        )
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
                raise TooLarge(f"What lies at `url` is larger than {self._max_bytes / 1e6:.3g} MB.")
        return bytes(body)


def _refusal(status: int) -> ImageTextError:
    sentence = f"The address in `url` answers with status {status}."
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(sentence, retry_after=_RETRY_AFTER_S)
    return InvalidParameter(sentence)


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        parsed = base.join(url) if base else httpx.URL(url)
        known = parsed.scheme in _PORTS and bool(parsed.raw_host) and 0 < _port(parsed) < 65_536
    except (httpx.InvalidURL, ValueError):
        known = False
    if not known:
        raise InvalidParameter("`url` must be an http or https address.")
    if parsed.userinfo:
        raise InvalidParameter("`url` must not carry a user name or password.")
    return parsed


def _port(url: httpx.URL) -> int:
    return _PORTS[url.scheme] if url.port is None else url.port
