"""A service as a process: started both ways, stopped by SIGTERM."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE, until

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DIRECTLY = [sys.executable, str(HERE / "slow_service.py")]
BY_GUNICORN = [sys.executable, "-m", "gunicorn", "slow_service:create_app()", "-k", "uvicorn_worker.UvicornWorker"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(command: list[str], **settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}", **settings}
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@asynccontextmanager
async def _running(command: list[str]) -> AsyncIterator[tuple[subprocess.Popen[str], httpx.AsyncClient]]:
    port = _free_port()
    bind = ["-w", "1", "-b", f"127.0.0.1:{port}"] if command is BY_GUNICORN else []
    process = _start([*command, *bind], SLOW_PORT=str(port))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            await until(lambda: _is_live(client))
            yield process, client
    finally:
        process.kill()
        process.communicate()


async def _is_live(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


# uvicorn ends by the signal that it was sent, once its work is done; gunicorn ends with 0.
@pytest.mark.parametrize(
    ("command", "status"), [(DIRECTLY, -signal.SIGTERM), (BY_GUNICORN, 0)], ids=["directly", "gunicorn"]
)
async def test_sigterm_finishes_what_is_in_flight(command, status):
    """After SIGTERM the running request gets its answer, and only then the process ends."""
    async with _running(command) as (process, client):
        slow = asyncio.create_task(client.get("/slow"))
        await client.get("/begun")
        process.send_signal(signal.SIGTERM)
        reply = await slow
        output, _ = await asyncio.to_thread(process.communicate, None, PATIENCE)

    assert (reply.text, process.returncode) == ("done", status)
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["path"] for line in lines if line["message"] == "request"] == ["/begun", "/slow"]
    assert {line["service"] for line in lines} == {"slow"}


@pytest.mark.parametrize("command", [DIRECTLY, BY_GUNICORN], ids=["directly", "gunicorn"])
async def test_bad_setting_ends_the_start_with_a_sentence(command):
    """A value that cannot work is named on stderr, and the process ends instead of trying again for ever."""
    process = _start(command, SLOW_PORT="many")
    _, errors = await asyncio.to_thread(process.communicate, None, PATIENCE)

    assert process.returncode == 3
    assert "SLOW_PORT: Input should be a valid integer" in errors
    assert "pydantic" not in errors
