"""Asks one of our services within a deadline: picks a replica, sends the request, judges the reply, tries once more.

Every request may be repeated without changing the result, so one that could not be delivered, broke off or found a
replica not ready is sent a second time, to another replica if there is one. The exception is a DELETE that broke off:
it may have been done, and a second one would be answered that there is no such picture.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

import httpx
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from imagetext.wire.contracts import Health
from imagetext.wire.errors import Busy, DeadlineExceeded, Unavailable
from services.chassis.observing import REQUEST_ID_HEADER, current_request_id
from services.gateway.messages import NO_BODY, Body, Reply, error_of, read_reply
from services.gateway.replicas import Replica, Replicas

_JITTER_S = 0.05  # before the second try
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)
_FAILED = (*_NOT_REACHED, httpx.NetworkError, httpx.RemoteProtocolError)  # or broke off

M = TypeVar("M", bound=BaseModel)
A = TypeVar("A", Reply, httpx.Response)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deadline:
    """By when a reply must be there."""

    at: float  # seconds on the event loop's clock

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(asyncio.get_running_loop().time() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never less than zero."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Stops what runs inside when the time is up, with DeadlineExceeded."""
        try:
            async with asyncio.timeout_at(self.at):
                yield
        except TimeoutError:
            raise DeadlineExceeded("The answer was not ready in time.") from None


class Upstream:
    """One service with all its replicas. Every call raises errors of `imagetext.wire.errors` only."""

    def __init__(
        self,
        name: str,
        *,
        transport: httpx.AsyncBaseTransport,
        streaming: httpx.AsyncBaseTransport,
        replicas: Replicas,
        timeout: httpx.Timeout,
        retries: Counter,
    ) -> None:
        """`streaming` has connections of its own, for bodies that are read as slowly as our caller reads."""
        self.name = name
        self._transport = transport
        self._streaming = streaming
        self._replicas = replicas
        self._timeout = timeout.as_dict()
        self._retries = retries

    async def get(self, kind: type[M], path: str, deadline: Deadline) -> M:
        """The reply to a GET, parsed as `kind`."""
        return self.parsed(kind, await self._successful("GET", path, NO_BODY, deadline))

    async def post(self, path: str, body: Body, deadline: Deadline) -> Reply:
        """The successful reply to a POST, not parsed."""
        return await self._successful("POST", path, body, deadline)

    async def delete(self, path: str, deadline: Deadline) -> Reply:
        """The successful reply to a DELETE, not parsed."""
        return await self._successful("DELETE", path, NO_BODY, deadline)

    async def health(self, deadline: Deadline) -> Health:
        """The service's report of its own readiness."""
        reply = await self._read("GET", "/health/ready", NO_BODY, deadline)
        if reply.status not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise error_of(reply, self.name)
        return self.parsed(Health, reply)

    def parsed(self, kind: type[M], reply: Reply) -> M:
        try:
            return kind.model_validate_json(reply.content)
        except ValidationError:
            raise self.unreadable(kind) from None

    def unreadable(self, kind: type[BaseModel]) -> Unavailable:
        """The error for a reply that should have been a `kind`; it is logged, too."""
        log.error("the %s service's reply is not a %s", self.name, kind.__name__)
        return Unavailable(f"The {self.name} service sent a reply that cannot be read.")

    @asynccontextmanager
    async def stream(
        self, path: str, *, deadline: Deadline, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """A response whose body is still on its way; the deadline is for its head."""
        async with AsyncExitStack() as opened:

            async def ask(replica: Replica) -> httpx.Response:
                asked = self._asked(replica, "GET", path, NO_BODY, headers, transport=self._streaming)
                return await opened.enter_async_context(asked)

            response = await self._exchange(ask, deadline)
            if not response.is_success and response.status_code != httpx.codes.NOT_MODIFIED:
                raise error_of(await read_reply(response), self.name)
            yield response

    async def close(self) -> None:
        await self._transport.aclose()
        await self._streaming.aclose()

    async def _successful(self, method: str, path: str, body: Body, deadline: Deadline) -> Reply:
        reply = await self._read(method, path, body, deadline)
        if not reply.is_success:
            raise error_of(reply, self.name)
        return reply

    async def _read(self, method: str, path: str, body: Body, deadline: Deadline) -> Reply:
        async def ask(replica: Replica) -> Reply:
            async with self._asked(replica, method, path, body) as response:
                return await read_reply(response)

        return await self._exchange(ask, deadline, retry_on=_NOT_REACHED if method == "DELETE" else _FAILED)

    async def _exchange(
        self,
        ask: Callable[[Replica], Awaitable[A]],
        deadline: Deadline,
        *,
        retry_on: tuple[type[Exception], ...] = _FAILED,
    ) -> A:
        try:
            async with deadline.enforced():
                return await self._try_twice(ask, retry_on)
        except httpx.PoolTimeout:
            raise Busy(f"Too many requests wait for the {self.name} service.") from None
        except httpx.TransportError as error:
            # The polls, which have no request id, log changes themselves.
            level = logging.WARNING if current_request_id() else logging.DEBUG
            log.log(level, "the %s service failed: %s", self.name, type(error).__name__)
            if isinstance(error, httpx.TimeoutException) and not isinstance(error, _NOT_REACHED):
                raise DeadlineExceeded(f"The {self.name} service did not answer in time.") from error
            raise Unavailable(f"The {self.name} service cannot be reached.", retry_after=2) from error

    async def _try_twice(self, ask: Callable[[Replica], Awaitable[A]], retry_on: tuple[type[Exception], ...]) -> A:
        replica = await self._replicas.choose()
        try:
            answer = await self._try(ask, replica)
            if not _is_unavailable(answer) or not self._replicas.has_other(replica):
                return answer
            self._replicas.avoid(replica)
        except retry_on as error:
            level = logging.INFO if current_request_id() else logging.DEBUG
            log.log(level, "retrying the %s service after %s", self.name, type(error).__name__)
        self._retries.inc()
        await asyncio.sleep(random.uniform(0, _JITTER_S))
        return await self._try(ask, await self._replicas.choose(but=replica))

    async def _try(self, ask: Callable[[Replica], Awaitable[A]], replica: Replica) -> A:
        try:
            return await ask(replica)
        except _NOT_REACHED:
            self._replicas.avoid(replica)
            raise

    @asynccontextmanager
    async def _asked(
        self,
        replica: Replica,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> AsyncIterator[httpx.Response]:
        request = httpx.Request(
            method,
            replica.at(path),
            headers=[("Host", replica.host), *_identity(), *_description(body), *(headers or {}).items()],
            stream=body,
            extensions={"timeout": self._timeout, "sni_hostname": replica.server_name},
        )
        with replica.occupied():
            response = await (transport or self._transport).handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()


def _identity() -> list[tuple[str, str]]:
    request_id = current_request_id()
    return [(REQUEST_ID_HEADER, request_id)] if request_id else []


def _description(body: Body) -> list[tuple[str, str]]:
    return [("Content-Type", body.media_type), ("Content-Length", str(body.size))] if body.pieces else []


def _is_unavailable(answer: Reply | httpx.Response) -> bool:
    status = answer.status if isinstance(answer, Reply) else answer.status_code
    return status == httpx.codes.SERVICE_UNAVAILABLE
