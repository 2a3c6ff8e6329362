"""Asks one of our services: picks a replica, passes on who asks and how long they wait, judges the answer.

Everything that is asked here is pure, so a request may be sent once more, to another replica if there is one,
when the first could not be reached, broke off or was not ready.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import httpx
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from imagetext.contracts import Health
from imagetext.errors import Busy, DeadlineExceeded, Unavailable
from services.chassis.request_id import HEADER, current_request_id
from services.gateway.deadline import Deadline
from services.gateway.replicas import Replica, Replicas
from services.gateway.upstream_errors import error_of

_JITTER_S = 0.05
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)
_BROKE_OFF = (httpx.NetworkError, httpx.RemoteProtocolError)

M = TypeVar("M", bound=BaseModel)
Use = Callable[[Replica], Awaitable[httpx.Response]]
log = logging.getLogger(__name__)


class Upstream:
    """One service with all its replicas. The errors of every call are those of `imagetext.errors`."""

    def __init__(
        self,
        name: str,
        *,
        transport: httpx.AsyncBaseTransport,
        replicas: Replicas,
        timeout: httpx.Timeout,
        retries: Counter,
    ) -> None:
        self.name = name
        self._transport = transport
        self._replicas = replicas
        self._timeout = timeout
        self._retries = retries

    async def ask(self, kind: type[M], method: str, path: str, *, deadline: Deadline, **content: Any) -> M:
        """The answer, read as `kind`. `content` is `json`, or `data` and `files`, as httpx.Request takes them."""
        response = await self._read(method, path, deadline, content)
        if not response.is_success:
            raise error_of(response, self.name)
        return self._parsed(kind, response)

    async def health(self, deadline: Deadline) -> Health:
        """What the service says of its own readiness."""
        response = await self._read("GET", "/health/ready", deadline, {})
        if response.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise error_of(response, self.name)
        return self._parsed(Health, response)

    @asynccontextmanager
    async def stream(
        self, path: str, *, deadline: Deadline, headers: dict[str, str], params: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still on its way; the deadline is for its head."""
        async with AsyncExitStack() as opened:

            async def use(replica: Replica) -> httpx.Response:
                content = {"headers": headers, "params": params}
                return await opened.enter_async_context(self._asked(replica, "GET", path, content))

            response = await self._exchange(use, deadline)
            if not response.is_success and response.status_code != httpx.codes.NOT_MODIFIED:
                await response.aread()
                raise error_of(response, self.name)
            yield response

    async def close(self) -> None:
        await self._transport.aclose()

    async def _read(self, method: str, path: str, deadline: Deadline, content: dict[str, Any]) -> httpx.Response:
        async def use(replica: Replica) -> httpx.Response:
            async with self._asked(replica, method, path, content) as response:
                await response.aread()
                return response

        return await self._exchange(use, deadline)

    async def _exchange(self, use: Use, deadline: Deadline) -> httpx.Response:
        try:
            async with deadline.enforced():
                return await self._try_twice(use)
        except httpx.PoolTimeout:
            raise Busy(f"Too many requests wait for the {self.name} service.") from None
        except httpx.TransportError as error:
            # What only asks again and again how a service is tells of changes itself.
            level = logging.WARNING if current_request_id() else logging.DEBUG
            log.log(level, "the %s service failed: %s", self.name, type(error).__name__)
            if isinstance(error, httpx.TimeoutException) and not isinstance(error, _NOT_REACHED):
                raise DeadlineExceeded(f"The {self.name} service did not answer in time.") from error
            raise Unavailable(f"The {self.name} service cannot be reached.", retry_after=2) from error

    async def _try_twice(self, use: Use) -> httpx.Response:
        replica = await self._replicas.choose()
        try:
            response = await self._use(use, replica)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not self._replicas.has_other(replica):
                return response
            self._replicas.rest(replica)
        except (*_NOT_REACHED, *_BROKE_OFF) as error:
            log.info("the %s service is asked again after %s", self.name, type(error).__name__)
        self._retries.inc()
        await asyncio.sleep(random.uniform(0, _JITTER_S))
        return await self._use(use, await self._replicas.choose(but=replica))

    async def _use(self, use: Use, replica: Replica) -> httpx.Response:
        try:
            return await use(replica)
        except _NOT_REACHED:
            self._replicas.rest(replica)
            raise

    @asynccontextmanager
    async def _asked(
        self, replica: Replica, method: str, path: str, content: dict[str, Any]
    ) -> AsyncIterator[httpx.Response]:
        headers = {
            "Host": replica.base.netloc.decode("ascii"),
            **({HEADER: request_id} if (request_id := current_request_id()) else {}),
            **content.get("headers", {}),
        }
        extensions = {"timeout": self._timeout.as_dict(), "sni_hostname": replica.base.raw_host.decode("ascii")}
        url = replica.url.copy_with(path=path)
        request = httpx.Request(method, url, **{**content, "headers": headers, "extensions": extensions})
        with replica.occupied():
            response = await self._transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()

    def _parsed(self, kind: type[M], response: httpx.Response) -> M:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            log.error("the %s service's answer is not a %s", self.name, kind.__name__)
            raise Unavailable(f"The {self.name} service gave an answer that cannot be read.") from None
