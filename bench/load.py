"""The load generator, a separate process: `python -m bench.load` reads an order as JSON from stdin, sends the requests,
times the responses and writes its findings as JSON to stdout.

It speaks HTTP/1.1 by hand over kept connections: on a small machine it shares the processor with the servers, and has
to take as little of it as possible.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

PLACE = b"{n}"  # in a body: replaced by the number of the request, so that no two are equal
OK = 200
BOUNDARY = "bench-picture"
PATIENCE_S = 120


@dataclass(frozen=True)
class Request:
    """A POST request that is sent again and again."""

    path: str
    type: str
    body: bytes

    def bytes(self, host: str, number: int) -> bytes:
        """As sent."""
        body = self.body.replace(PLACE, b"%d" % number) if PLACE in self.body else self.body
        head = f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {self.type}\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Order:
    """What to send.

    Attributes:
        callers: concurrent connections. In a closed loop each sends its next request after its response.
        seconds: no request starts later than this.
        rate: requests per second in an open loop; time counts from when a request was due. None: a closed loop.
        first: the number of the first request.
    """

    host: str
    port: int
    requests: Sequence[Request]
    callers: int
    seconds: float
    rate: float | None = None
    first: int = 0


@dataclass
class Found:
    """Response times in seconds; errors are responses other than 200, and broken connections."""

    times: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0
    sent: int = 0

    def summary(self) -> dict[str, Any]:
        """Times in milliseconds."""
        times = sorted(self.times)
        rate = len(times) / self.seconds if self.seconds else 0.0
        quantiles = {name: 1000 * _quantile(times, share) for name, share in SHARES.items()}
        return {"answers": len(times), "errors": self.errors, "rate": rate, "sent": self.sent, **quantiles}


SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def upload(path: str, *contents: bytes) -> Request:
    """A form whose only fields are pictures."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    parts = [head.encode() + content + b"\r\n" for content in contents]
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return Request(path, f"multipart/form-data; boundary={BOUNDARY}", body)


async def send(order: Order) -> Found:
    """All callers concurrently, until the time is up and every response has arrived."""
    found, start = Found(), time.perf_counter()
    await asyncio.gather(*(_caller(order, found, start) for _ in range(order.callers)))
    found.seconds = time.perf_counter() - start
    return found


def read_order(text: str) -> Order:
    """The inverse of `write_order`."""
    fields = json.loads(text)
    requests = [Request(one["path"], one["type"], base64.b64decode(one["body"])) for one in fields.pop("requests")]
    return Order(requests=requests, **fields)


def write_order(order: Order) -> str:
    """As JSON, bodies in base64."""
    requests = [
        {"path": one.path, "type": one.type, "body": base64.b64encode(one.body).decode()} for one in order.requests
    ]
    return json.dumps(vars(order) | {"requests": requests})


async def _caller(order: Order, found: Found, start: float) -> None:
    wire: _Wire | None = None
    while True:
        number = found.sent
        due = start if order.rate is None else start + number / order.rate
        began = max(due, time.perf_counter()) if order.rate is None else due
        if began - start >= order.seconds:
            break
        found.sent += 1
        if began > time.perf_counter():
            await asyncio.sleep(began - time.perf_counter())
        request = order.requests[(order.first + number) % len(order.requests)]
        try:
            if wire is None:
                _, wire = await asyncio.get_running_loop().create_connection(_Wire, order.host, order.port)
            async with asyncio.timeout(PATIENCE_S):
                status = await wire.ask(request.bytes(order.host, order.first + number))
        except (OSError, ValueError, TimeoutError):
            wire, status = None, 0
        if status == OK:
            found.times.append(time.perf_counter() - began)
        else:
            found.errors += 1
    if wire is not None:
        wire.transport.close()


class _Wire(asyncio.Protocol):
    """A connection. Streams would wake their reader twice, for the head and for the body."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._come = b""
        self._answer: asyncio.Future[int] | None = None

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        """The status of the response, once it is complete; ValueError if it has no Content-Length."""
        self._come, self._answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's

    def data_received(self, data: bytes) -> None:
        self._come += data
        head, end, body = self._come.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:
            self._answer.set_exception(ValueError("a response without Content-Length"))
        elif len(body) >= length:
            self._answer.set_result(int(lines[0].split(b" ")[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank; 0 for an empty sequence."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main() -> None:
    import uvloop

    order = read_order(sys.stdin.read())
    sys.stdout.write(json.dumps(uvloop.run(send(order)).summary()))


if __name__ == "__main__":
    main()
