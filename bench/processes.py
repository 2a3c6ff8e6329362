"""Servers as separate processes: started, awaited, measured and stopped; and the load on them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Order, Request, write_order

START_S = 300
FAILED = 0.01  # share of requests that may fail; beyond it, rate and times mean nothing
END_S = 15
HOST = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A process that listens, or whose workers do."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def cpu_seconds(self) -> float:
        """Processor time so far, of all threads and of the workers that run now."""
        return sum(map(_cpu_seconds, self._processes()))

    def memory_mb(self) -> float:
        """Memory now; a page that several processes share counts in parts (PSS)."""
        return sum(map(_memory_mb, self._processes()))

    def _processes(self) -> list[Path]:
        """The process and its workers, in /proc."""
        own = Path(f"/proc/{self.process.pid}")
        workers = (own / "task" / own.name / "children").read_text().split()
        return [own, *(own.parent / worker for worker in workers)]


def _cpu_seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory_mb(process: Path) -> float:
    fields = dict(line.split(":", 1) for line in (process / "smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024 / 1e6


@contextmanager
def server(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    port: int,
    ready: Request | str,
    log: Path,
    *,
    python: str = sys.executable,
) -> Iterator[Server]:
    """A process until the end of the block.

    Args:
        arguments: for the Python interpreter.
        ready: the server has started when this path or request is answered with 200.
        log: file for its output.
        python: the interpreter.

    Raises:
        RuntimeError: the process ended, or was not ready in time.
    """
    with log.open("wb") as said:
        # In its own session: Ctrl-C goes to the bench, which stops what it started.
        process = subprocess.Popen(
            [python, *arguments],
            env=os.environ | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            started = Server(process, port)
            _wait(started, ready, log)
            yield started
        finally:
            _end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def load(
    port: int,
    requests: Sequence[Request],
    *,
    callers: int,
    seconds: float,
    first: int = 0,
    rate: float | None = None,
    errors: float = FAILED,
) -> dict[str, Any]:
    """Findings of a load generator; the options are those of `bench.load.Order`, and `errors` the share that may fail.

    Raises:
        RuntimeError: the load generator failed, or too few requests were answered with 200.
    """
    order = Order(HOST, port, requests, callers, seconds, rate, first)
    command = [sys.executable, "-m", "bench.load"]
    found = subprocess.run(command, input=write_order(order), capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise RuntimeError(f"the load generator failed: {found.stderr[-300:]}")
    summary: dict[str, Any] = json.loads(found.stdout)
    if not summary["answers"]:
        raise RuntimeError(f"no request of {summary['sent']} was answered with 200")
    if summary["errors"] > errors * summary["sent"]:
        raise RuntimeError(f"{summary['errors']} of {summary['sent']} requests failed")
    return summary


def _wait(started: Server, ready: Request | str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(started, ready):
        if started.process.poll() is not None:
            raise RuntimeError(f"a server ended before it was ready: {log.read_text(errors='replace')[-300:]}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"a server was not ready after {START_S} seconds: see {log}")
        time.sleep(0.2)


def _answers(started: Server, ready: Request | str) -> bool:
    path = ready if isinstance(ready, str) else ready.path
    body, headers = (None, {}) if isinstance(ready, str) else (ready.body, {"Content-Type": ready.type})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignore any proxy in the environment
    try:
        with direct.open(urllib.request.Request(started.url + path, body, headers), timeout=30) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
