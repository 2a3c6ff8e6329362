"""The caption service behind a real socket, and as a process."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[3]


def _request(picture: bytes) -> bytes:
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + picture + b"\r\n--x--\r\n"
    head = f"POST /v1/captions HTTP/1.1\r\nHost: s\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body


async def test_work_of_a_client_that_leaves_is_dropped(app, captioner, picture, port_of, queue_of):
    """A picture whose client has closed its connection while it waits for the model is never captioned."""
    async with port_of(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
        captioner.hold()
        stays = asyncio.create_task(client.post("/v1/captions", files={"image": ("a", picture("red"))}))
        assert await asyncio.to_thread(captioner.held.wait, PATIENCE)
        with socket.create_connection(("127.0.0.1", port)) as leaves:
            leaves.sendall(_request(picture("green")))
            await queue_of(client, 1)
        await queue_of(client, 0)
        captioner.release()
        reply = await stays
        after = await client.post("/v1/captions", files={"image": ("a", picture("blue"))})

    assert (reply.status_code, after.status_code) == (200, 200)
    assert [colours for colours, _ in captioner.batches[1:]] == [["red"], ["blue"]]


def test_bad_settings_are_named_when_the_process_starts():
    """`python -m services.caption` with settings that cannot work says which, and ends."""
    environment = {**os.environ, "CAPTION_PORT": "tcp://10.0.0.1:8001", "CAPTION_MAX_BATCH": "-1"}
    command = [sys.executable, "-m", "services.caption"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert ended.returncode == 3
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["CAPTION_PORT", "CAPTION_MAX_BATCH"]


def test_missing_model_ends_the_process():
    """`python -m services.caption` without its model folder ends, and its log names the folder."""
    environment = {**os.environ, "CAPTION_PORT": "0", "CAPTION_MODELS": "nowhere"}
    command = [sys.executable, "-m", "services.caption"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert ended.returncode == 3
    assert "There is no model folder nowhere." in ended.stdout
