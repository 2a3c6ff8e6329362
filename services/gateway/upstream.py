"""What a service's refusal means for our own caller.

Asks one of our services: picks a replica, passes on who asks and how long they wait, judges the answer.

What is asked twice has the effect of once, so a request may be sent once more, to another replica if there is one,
when the first could not be reached, broke off or was not ready. But for a deletion that broke off: a second one would
say that there is no such picture.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import httpx
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from imagetext.wire.contracts import Health, Problem
from imagetext.wire.errors import (
    Busy,
    CannotPublish,
    DeadlineExceeded,
    ImageTextError,
    IndexFull,
    InvalidParameter,
    InvalidPicture,
    NotAPicture,
    NotFound,
    TooLarge,
    Unavailable,
)
from services.chassis.observing import REQUEST_ID_HEADER, current_request_id
from services.chassis.problems import MEDIA_TYPE
from services.gateway.deadline import Deadline
from services.gateway.messages import NOTHING, Body, Reply, read_reply
from services.gateway.replicas import Replica, Replicas

_LASTING = (
    *(ImageTextError, InvalidPicture, NotFound, CannotPublish, TooLarge, NotAPicture, InvalidParameter),
    *(DeadlineExceeded, IndexFull),
)
_TEMPORARY = (Busy, Unavailable)
_MAX_RETRY_AFTER_S = 60


def error_of(reply: Reply, service: str) -> ImageTextError:
    """The error that a problem document stands for; Unavailable for an answer that no service of ours gives."""
    problem = _problem_of(reply)
    if problem is not None:
        for temporary in _TEMPORARY:
            if temporary.status == reply.status:
                return temporary(problem.detail, retry_after=_retry_after(reply))
        for lasting in _LASTING:
            if lasting.status == reply.status:
                return lasting(problem.detail)
    return Unavailable(f"The {service} service does not answer as it should.", retry_after=_retry_after(reply))


def _problem_of(reply: Reply) -> Problem | None:
    if not reply.is_of(MEDIA_TYPE):
        return None
    try:
        return Problem.model_validate_json(reply.content)
    except ValidationError:
        return None


def _retry_after(reply: Reply) -> int:
    value = reply.headers.get("Retry-After", "")
    return min(int(value), _MAX_RETRY_AFTER_S) if value.isascii() and value.isdigit() else 1


_JITTER_S = 0.05
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)
_FAILED = (*_NOT_REACHED, httpx.NetworkError, httpx.RemoteProtocolError)  # or broke off

M = TypeVar("M", bound=BaseModel)
A = TypeVar("A", Reply, httpx.Response)
Use = Callable[[Replica], Awaitable[A]]
log = logging.getLogger(__name__)


class Upstream:
    """One service with all its replicas. The errors of every call are those of `imagetext.wire.errors`."""

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
        """`streaming` has connections of its own for bodies that are read as slowly as our caller reads."""
        self.name = name
        self._transport = transport
        self._streaming = streaming
        self._replicas = replicas
        self._timeout = timeout.as_dict()
        self._retries = retries

    async def get(self, kind: type[M], path: str, deadline: Deadline) -> M:
        """The answer to a GET, read as `kind`."""
        return self.parsed(kind, await self._successful("GET", path, NOTHING, deadline))

    async def post(self, path: str, body: Body, deadline: Deadline) -> Reply:
        """The answer to a POST, a success, as bytes."""
        return await self._successful("POST", path, body, deadline)

    async def delete(self, path: str, deadline: Deadline) -> Reply:
        """The answer to a DELETE, a success, as bytes."""
        return await self._successful("DELETE", path, NOTHING, deadline)

    async def health(self, deadline: Deadline) -> Health:
        """What the service says of its own readiness."""
        reply = await self._read("GET", "/health/ready", NOTHING, deadline)
        if reply.status not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise error_of(reply, self.name)
        return self.parsed(Health, reply)

    def parsed(self, kind: type[M], reply: Reply) -> M:
        try:
            return kind.model_validate_json(reply.content)
        except ValidationError:
            raise self.unreadable(kind) from None

    def unreadable(self, kind: type[BaseModel]) -> Unavailable:
        """The error for an answer that should have been a `kind`; the log is told as well."""
        log.error("the %s service's answer is not a %s", self.name, kind.__name__)
        return Unavailable(f"The {self.name} service gave an answer that cannot be read.")

    @asynccontextmanager
    async def stream(
        self, path: str, *, deadline: Deadline, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still on its way; the deadline is for its head."""
        async with AsyncExitStack() as opened:

            async def use(replica: Replica) -> httpx.Response:
                asked = self._asked(replica, "GET", path, NOTHING, headers, transport=self._streaming)
                return await opened.enter_async_context(asked)

            response = await self._exchange(use, deadline)
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
        async def use(replica: Replica) -> Reply:
            async with self._asked(replica, method, path, body) as response:
                return await read_reply(response)

        return await self._exchange(use, deadline, again_after=_NOT_REACHED if method == "DELETE" else _FAILED)

    async def _exchange(
        self, use: Use[A], deadline: Deadline, *, again_after: tuple[type[Exception], ...] = _FAILED
    ) -> A:
        try:
            async with deadline.enforced():
                return await self._try_twice(use, again_after)
        except httpx.PoolTimeout:
            raise Busy(f"Too many requests wait for the {self.name} service.") from None
        except httpx.TransportError as error:
            # What only asks again and again how a service is tells of changes itself.
            level = logging.WARNING if current_request_id() else logging.DEBUG
            log.log(level, "the %s service failed: %s", self.name, type(error).__name__)
            if isinstance(error, httpx.TimeoutException) and not isinstance(error, _NOT_REACHED):
                raise DeadlineExceeded(f"The {self.name} service did not answer in time.") from error
            raise Unavailable(f"The {self.name} service cannot be reached.", retry_after=2) from error

    async def _try_twice(self, use: Use[A], again_after: tuple[type[Exception], ...]) -> A:
        replica = await self._replicas.choose()
        try:
            answer = await self._use(use, replica)
            if not _is_unavailable(answer) or not self._replicas.has_other(replica):
                return answer
            self._replicas.rest(replica)
        except again_after as error:
            log.info("the %s service is asked again after %s", self.name, type(error).__name__)
        self._retries.inc()
        await asyncio.sleep(random.uniform(0, _JITTER_S))
        return await self._use(use, await self._replicas.choose(but=replica))

    async def _use(self, use: Use[A], replica: Replica) -> A:
        try:
            return await use(replica)
        except _NOT_REACHED:
            self._replicas.rest(replica)
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
