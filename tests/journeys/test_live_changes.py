"""Pictures added, replaced and deleted while everything runs: two retrieval replicas, two gateways, kills included."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetext.index import current_version, list_versions
from indexer.build import build
from tests.indexer.conftest import draw
from tests.journeys.conftest import PATIENT, ROOT, System, run_module
from tests.journeys.stand_in import StandIn
from tests.journeys.test_search import search
from tests.patience import PATIENCE, wait_until
from tests.ports import free_port

KEY = {"Authorization": "Bearer open sesame"}
PICTURES = 12
MODULES = {"retrieval": "tests.journeys.stand_in", "gateway": "services.gateway"}


@dataclass
class Live:
    """`gateways` are two that do not know of each other; both ask both replicas."""

    folder: Path
    environments: dict[str, dict[str, str]]
    urls: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", MODULES[name.split("-")[0]]]
        environment = os.environ | PATIENT | self.environments[name]
        with (self.folder / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """As a power failure does: gunicorn's master and its worker at once."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self.urls[name], timeout=PATIENCE)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(condition, lambda: (self.folder / "log").read_text()[-3000:])

    def is_ready(self, name: str) -> bool:
        try:
            reply = httpx.get(f"{self.urls[name]}/health/ready", timeout=PATIENCE)
        except httpx.TransportError:
            return False
        return set(reply.json()["parts"]) <= {"caption"}  # no captions here

    def picture(self, number: int) -> bytes:
        return (self.folder / "images" / f"{number}.png").read_bytes()

    def build(self) -> None:
        build(self.folder / "images", self.index, StandIn())

    def state(self, name: str) -> dict[str, Any]:
        """What a service says of its index."""
        with self.client(name) as client:
            state: dict[str, Any] = client.get("/v1/index").json()
            return state

    def version(self, name: str) -> str:
        return str(self.state(name)["version"])


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    for number in range(PICTURES):
        draw(folder / "images" / f"{number}.png", number)
    names = ("retrieval-1", "retrieval-2", "gateway-1", "gateway-2")
    ports = {name: free_port() for name in names}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environments = {
        name: {
            "RETRIEVAL_PORT": str(port),
            "RETRIEVAL_INDEX": str(folder / "index"),
            "RETRIEVAL_POLL_S": "0.2",
            "GATEWAY_PORT": str(port),
            "GATEWAY_RETRIEVAL_URL": f"{urls['retrieval-1']},{urls['retrieval-2']}",
            "GATEWAY_OPERATOR_KEY": "open sesame",
        }
        for name, port in ports.items()
    }
    live = Live(folder, environments, urls)
    live.build()
    try:
        for name in names:
            live.start(name)
        live.wait_until(lambda: all(map(live.is_ready, names)))
        yield live
    finally:
        for process in live.processes.values():
            process.terminate()
        for process in live.processes.values():
            process.wait(PATIENCE)


def add(client: httpx.Client, content: bytes, path: str) -> dict[str, object]:
    reply = client.post("/v1/images", files={"image": content}, data={"path": path}, headers=KEY)
    assert reply.status_code == 200, reply.text
    result: dict[str, object] = reply.json()["results"][0]
    return result


def found(client: httpx.Client, content: bytes) -> list[str]:
    """The paths of what is most like a picture, through the cache."""
    reply = client.post("/v1/search/image", files={"image": content}, data={"k": "100"})
    assert reply.status_code == 200, reply.text
    return [hit["path"] for hit in reply.json()["results"]]


def test_a_picture_comes_is_replaced_and_goes(live: Live) -> None:
    """At the gateway that was told, at once, whichever replica answers and whatever was cached."""
    query = live.picture(0)
    with live.client("gateway-1") as told:
        assert "new/a.png" not in found(told, query) + found(told, query)
        result = add(told, query, "new/a.png")
        assert "new/a.png" in found(told, query)[:2]
        assert told.get(str(result["url"])).content == query

        assert add(told, live.picture(1), "new/a.png")["replaced"] is True
        assert "new/a.png" in found(told, live.picture(1))[:2] and "new/a.png" not in found(told, query)[:1]
        assert told.get(str(result["url"])).content == live.picture(1)

        assert told.delete(str(result["url"]), headers=KEY).status_code == 200
        for number in range(10):  # both replicas are asked
            assert "new/a.png" not in found(told, live.picture(number))
            assert told.get(str(result["url"])).status_code == 404
        assert told.delete(str(result["url"]), headers=KEY).status_code == 404
        assert told.delete(str(result["url"])).status_code == 401


def test_another_gateway_sees_changes(live: Live) -> None:
    """Though nobody tells it, and it has cached the search."""
    query = live.picture(3)
    with live.client("gateway-1") as told, live.client("gateway-2") as other:
        for _ in range(3):
            assert "new/b.png" not in found(other, query)
            result = add(told, query, "new/b.png")
            live.wait_until(lambda: "new/b.png" in found(other, query))
            told.delete(str(result["url"]), headers=KEY)
            live.wait_until(lambda: "new/b.png" not in found(other, query))


def test_a_killed_replica_loses_no_request_and_no_picture(live: Live) -> None:
    """While a replica is killed and comes back every addition and every search is answered; both replicas then have
    all that was acknowledged."""
    acknowledged: list[str] = []
    searches: list[int] = []
    lost: list[str] = []
    done = threading.Event()

    def keep_adding() -> None:
        with live.client("gateway-1") as client:
            for number in itertools.count():
                files, data = {"image": live.picture(number % PICTURES)}, {"path": f"kill/{number}.png"}
                reply = client.post("/v1/images", files=files, data=data, headers=KEY)
                if reply.status_code == 200:
                    acknowledged.append(reply.json()["results"][0]["url"])
                else:
                    lost.append(f"addition {number}: {reply.status_code} {reply.text}")
                if done.is_set():
                    break

    def keep_searching() -> None:
        with live.client("gateway-2") as client:
            for k in itertools.count(1):  # each asks for another number: none is answered from the cache
                reply = client.post("/v1/search/image", files={"image": live.picture(0)}, data={"k": str(k % 100 + 1)})
                searches.append(reply.status_code)
                if reply.status_code != 200:
                    lost.append(f"search {k}: {reply.status_code} {reply.text}")
                if done.is_set():
                    break

    def wait_for_more() -> None:
        additions, asked = len(acknowledged) + 3, len(searches) + 10
        live.wait_until(lambda: (len(acknowledged) > additions and len(searches) > asked) or bool(lost))

    threads = [threading.Thread(target=keep_adding), threading.Thread(target=keep_searching)]
    for thread in threads:
        thread.start()
    try:
        wait_for_more()
        live.kill("retrieval-1")
        wait_for_more()
        with live.client("retrieval-2") as client:
            assert {client.get(url).status_code for url in list(acknowledged)} == {200}
        live.start("retrieval-1")
        live.wait_until(lambda: live.is_ready("retrieval-1"))
        wait_for_more()
    finally:
        done.set()
        for thread in threads:
            thread.join()

    assert lost == []
    live.wait_until(lambda: live.state("retrieval-1") == live.state("retrieval-2"))  # one has yet to read of the last
    assert live.state("retrieval-1")["added"] >= len(acknowledged) == len(set(acknowledged))
    for name in ("retrieval-1", "retrieval-2"):
        with live.client(name) as client:
            assert {client.get(url).status_code for url in acknowledged} == {200}


def test_a_build_merges_and_a_rollback_keeps(live: Live) -> None:
    """No search sees an added picture missing while a version is built and swapped, nor after going back."""
    missing: list[list[str]] = []
    done = threading.Event()
    with live.client("gateway-1") as client:
        add(client, live.picture(2), "stays.png")

    def keep_searching() -> None:
        with live.client("gateway-1") as client:
            while not done.is_set():
                paths = found(client, live.picture(2))
                if "stays.png" not in paths or len(paths) != len(set(paths)):
                    missing.append(paths)

    searcher = threading.Thread(target=keep_searching)
    searcher.start()
    try:
        before = current_version(live.index)
        live.build()
        after = current_version(live.index)
        live.wait_until(lambda: {live.version("retrieval-1"), live.version("retrieval-2")} == {after})
        assert run_module("indexer", "rollback", "--index", live.index).returncode == 0
        for name in ("retrieval-1", "retrieval-2"):
            live.wait_until(lambda name=name: live.version(name).startswith(f"{before}+"))  # type: ignore[misc]
    finally:
        done.set()
        searcher.join()

    assert missing == []
    assert {before, after} <= set(list_versions(live.index))


def test_a_sentence_finds_an_added_scene(system: System) -> None:
    """With the real model: added, found by its words at once, and gone again."""
    name, sentences = sorted(system.sentences.items())[5]
    with system.client() as client:
        result = add(client, (system.images / name).read_bytes(), "added/scene.jpg")
        assert "added/scene.jpg" in [hit["path"] for hit in search(client, text=sentences[0], k=20)]
        assert client.get(str(result["thumbnail_url"])).status_code == 200
        assert client.delete(str(result["url"]), headers=KEY).status_code == 200
        assert "added/scene.jpg" not in [hit["path"] for hit in search(client, text=sentences[0], k=20)]
