"""The main journey in containers, against a real Docker engine: make compose-test."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE, wait_until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "imagetext-test"

pytestmark = pytest.mark.compose


class Compose:
    """The project's own compose file, under a project name of the test's own, on a free port."""

    def __init__(self) -> None:
        self.port = free_port()
        v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        self.command = ["docker", "compose"] if v2 else ["docker-compose"]

    def __call__(self, *arguments: str) -> str:
        environment = os.environ | {"PORT": str(self.port)}
        command = [*self.command, "-p", PROJECT, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)

    def wait_until_ready(self) -> None:
        state = ""

        def is_ready() -> bool:
            nonlocal state
            try:
                with self.client() as client:
                    reply = client.get("/health/ready")
            except httpx.TransportError as error:
                state = str(error)
                return False
            state = reply.text
            return reply.status_code == 200

        wait_until(is_ready, lambda: f"not ready: {state}")


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    compose = Compose()
    try:
        # A job in a profile is built only by its name.
        compose("build", "web", "gateway", "caption", "retrieval", "indexer")
        compose("up", "-d", "--scale", "caption=2")
        compose("run", "--rm", "indexer")
        compose.wait_until_ready()
        yield compose
    finally:
        compose("down", "-v", "--remove-orphans")


def test_page_captions_and_search(compose: Compose) -> None:
    """Through nginx: the page, a search in the drawn gallery, the found picture, and its caption."""
    with compose.client() as client:
        page = client.get("/")
        reply = client.post("/v1/search", json={"text": "a dog in the snow", "k": 3})
        hit = reply.json()["results"][0]
        picture = client.get(hit["url"])
        caption = client.post("/v1/captions", files={"image": picture.content})

    assert "<title>" in page.text
    assert reply.json()["index"]["size"] == 300
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert caption.json()["results"][0]["captions"][0]["text"]


def test_both_caption_replicas_get_work(compose: Compose) -> None:
    """Different pictures sent side by side reach both containers."""
    with compose.client() as client:
        hits = client.post("/v1/search", json={"text": "people outside", "k": 24}).json()["results"]
        pictures = [client.get(hit["url"]).content for hit in hits]
        with ThreadPoolExecutor(8) as pool:
            captioned = [pool.submit(client.post, "/v1/captions", files={"image": picture}) for picture in pictures]
            assert all(done.result().status_code == 200 for done in captioned)
    replicas = compose("ps", "-q", "caption").split()

    worked = [_captions_served(replica) for replica in replicas]

    assert len(replicas) == 2
    assert all(worked), worked


def _captions_served(container: str) -> int:
    logs = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return logs.stdout.count('"path": "/v1/captions"')


def test_cache_is_redis_and_may_die(compose: Compose) -> None:
    """The second search is a hit; with Redis stopped searches still work."""
    with compose.client() as client:
        body = {"text": "a red car on a road", "k": 5}
        sources = [client.post("/v1/search", json=body).headers["X-Cache"] for _ in range(2)]
        compose("stop", "redis")
        after = client.post("/v1/search", json={"text": "a blue boat", "k": 5})
        compose("start", "redis")

    assert sources == ["miss", "hit"]
    assert after.status_code == 200


def test_containers_run_without_root(compose: Compose) -> None:
    """No service runs as root."""
    for service in ("web", "gateway", "caption", "retrieval"):
        assert compose("exec", "-T", service, "id", "-u").strip() != "0"
