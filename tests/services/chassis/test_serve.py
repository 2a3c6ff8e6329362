"""A service as a process: how it starts, how it stops, and what it says meanwhile."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from services.chassis.serve import JSONFormatter
from tests.patience import PATIENCE, until

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(**settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "slow_service.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # as honcho does
    )


@asynccontextmanager
async def _running(**settings: str) -> AsyncIterator[tuple[subprocess.Popen[str], httpx.AsyncClient]]:
    port = _free_port()
    process = _start(SLOW_PORT=str(port), **settings)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            await until(lambda: _is_live(client))
            yield process, client
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


async def _is_live(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


async def _ended(process: subprocess.Popen[str]) -> tuple[list[dict[str, object]], str]:
    """The log lines, and what came on stderr."""
    output, errors = await asyncio.to_thread(process.communicate, None, PATIENCE)
    return [json.loads(line) for line in output.splitlines()], errors


def _to_master(process: subprocess.Popen[str]) -> None:
    """As a container engine does."""
    process.terminate()


def _to_the_group(process: subprocess.Popen[str]) -> None:
    """As honcho does at Ctrl-C."""
    os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("sigterm", [_to_master, _to_the_group])
async def test_sigterm_finishes_what_is_in_flight(sigterm: Callable[[subprocess.Popen[str]], None]):
    """After SIGTERM the running request gets its answer, and only then the process ends; every line is JSON."""
    async with _running() as (process, client):
        slow = asyncio.create_task(client.get("/slow"))
        await client.get("/begun")
        sigterm(process)
        reply = await slow
        lines, errors = await _ended(process)

    assert (reply.text, process.returncode, errors) == ("done", 0, "")
    assert "Server" not in reply.headers
    assert [line["path"] for line in lines if line["message"] == "request"] == ["/begun", "/slow"]
    assert {line["service"] for line in lines} == {"slow"}
    assert "Application shutdown complete." in [line["message"] for line in lines]


async def test_requests_get_no_more_than_the_grace_period():
    """A request that takes longer than `grace_s` is cut off, and the service still closes what it opened."""
    async with _running(SLOW_GRACE_S="1", SLOW_ANSWER_S="60") as (process, client):
        slow = asyncio.create_task(client.get("/slow"))
        await client.get("/begun")
        process.terminate()
        lines, _ = await _ended(process)
        with suppress(httpx.TransportError):
            assert (await slow).status_code == 500

    assert process.returncode == 0
    assert "Application shutdown complete." in [line["message"] for line in lines]


async def test_interrupt_ends_all_processes():
    """Ctrl-C in a terminal, which every process of the group gets, ends all of them."""
    async with _running() as (process, _):
        workers = psutil.Process(process.pid).children()
        os.killpg(process.pid, signal.SIGINT)
        await _ended(process)

    assert len(workers) == 1 and not any(worker.is_running() for worker in workers)


async def test_a_worker_ends_with_its_master():
    """A killed master leaves no worker that holds the port and the memory of a model."""
    async with _running() as (process, client):
        process.kill()
        await until(lambda: _is_gone(client))


async def _is_gone(client: httpx.AsyncClient) -> bool:
    return not await _is_live(client)


async def test_a_bad_setting_ends_the_start_with_a_sentence():
    """A value that cannot work is named on stderr, and nothing else is said."""
    process = _start(SLOW_PORT="many")
    lines, errors = await _ended(process)

    assert (process.returncode, lines) == (3, [])
    assert errors.startswith("SLOW_PORT: Input should be a valid integer")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("step", ["create_app", "lifespan"])
async def test_a_start_that_fails_ends_with_a_sentence(step: str):
    """An error at any step of the start is one sentence in the log, without a traceback, and no worker follows."""
    process = _start(SLOW_PORT="0", SLOW_FAILS=step)
    lines, errors = await _ended(process)
    messages = [line["message"] for line in lines]

    assert (process.returncode, errors) == (3, "")
    assert f"The model is missing in {step}." in messages
    assert "Traceback" not in str(lines)
    assert len([message for message in messages if str(message).startswith("Booting worker")]) == 1


def _line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("indexing", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    return json.loads(JSONFormatter("shop").format(record))


def test_line_has_the_fixed_keys():
    """A line says when, how bad, which service, who and what."""
    line = _line("%d pictures", 3)

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "service": "shop",
        "logger": "indexing",
        "message": "3 pictures",
        "request_id": None,
    }


def test_fields_stand_beside_the_message():
    """Extra fields are keys of their own, and values of any type are printed."""
    line = _line("request", fields={"status": 200, "path": {1}})

    assert (line["status"], line["path"]) == (200, "{1}")


def test_line_breaks_stay_inside():
    """A message with a line break is still one line."""
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "two\nlines \ud800", (), None)

    assert "\n" not in JSONFormatter("shop").format(record).encode().decode()


def test_traceback_is_in_the_line():
    """An exception's traceback is one field."""
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(JSONFormatter("shop").format(record))

    assert "ValueError: odd" in line["exception"]


_PROCESS = """
import logging, logging.config
from uvicorn.config import LOGGING_CONFIG
from services.chassis.serve import configure_logging
logging.config.dictConfig(LOGGING_CONFIG)
configure_logging("shop", "INFO")
logging.getLogger("uvicorn.access").info("GET /")
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("indexing").debug("too much")
logging.getLogger("indexing").info("done")
"""


def test_the_servers_own_logging_is_replaced():
    """Whatever uvicorn had set up, its lines are JSON on stdout as all others, and its access log is silent."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROCESS], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]

    assert [(line["logger"], line["message"]) for line in lines] == [("uvicorn.error", "started"), ("indexing", "done")]
    assert ended.stderr == ""
