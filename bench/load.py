"""The callers: a process of its own that sends requests and times the answers. `python -m bench.load` reads an order
as JSON on stdin and writes what it found as JSON on stdout.

It speaks HTTP/1.1 by hand over kept connections, so that on a small machine it takes as little as may be of the
processor that it shares with the servers.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PLACE = b"{n}"  # in a body: becomes the number of the request, so that no two are equal
OK = 200
PATIENCE_S = 120


@dataclass(frozen=True)
class Request:
    """One kind of request, a POST."""

    path: str
    type: str
    body: bytes

    def bytes(self, host: str, number: int) -> bytes:
        """What goes over the wire."""
        body = self.body.replace(PLACE, b"%d" % number) if PLACE in self.body else self.body
        head = f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {self.type}\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        callers: connections at once. In a closed loop each sends its next request when it has its answer.
        seconds: no request begins after them.
        rate: of an open loop, requests a second: a request's time counts from when it was due. None closes the loop.
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
    """Times of the answers in seconds; errors are answers that are not 200, and connections that broke."""

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


async def send(order: Order) -> Found:
    """All callers at once, until the time is over and every answer is there."""
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
    reader = writer = None
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
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection(order.host, order.port)
            writer.write(request.bytes(order.host, order.first + number))
            status = await asyncio.wait_for(_answer(reader), PATIENCE_S)
        except (OSError, EOFError, ValueError, TimeoutError):
            reader = writer = None
            status = 0
        if status == OK:
            found.times.append(time.perf_counter() - began)
        else:
            found.errors += 1
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer, once all of it is there. Raises ValueError where it tells no length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lines = head.split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
    if length is None:
        raise ValueError("an answer without a length")
    await reader.readexactly(length)
    return int(lines[0].split(b" ")[1])


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main() -> None:
    import uvloop

    order = read_order(sys.stdin.read())
    sys.stdout.write(json.dumps(uvloop.run(send(order)).summary()))


if __name__ == "__main__":
    main()
