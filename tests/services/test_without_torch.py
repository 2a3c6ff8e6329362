"""Services and the indexer where neither torch nor transformers is installed: models were exported beforehand."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.imagetext.captioner.tiny_full_size import tiny_full_size
from tests.imagetext.encoder.tiny_clip import save_tiny_clip
from tests.ports import free_port
from tests.without_torch.environment import ROOT, without_torch

PICTURES = 6
START_S = 600  # a machine that does much else still gets there
SERVICES = ("caption", "retrieval", "gateway")


@dataclass(frozen=True)
class Prepared:
    """Two small models, where they are exported, and a folder of pictures."""

    encoder: Path
    captioner: Path
    exported: Path
    images: Path


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """As an image is built: where torch is installed, and no engine is chosen yet."""
    folder = tmp_path_factory.mktemp("prepared")
    found = Prepared(folder / "clip", folder / "writer", folder / "exported", folder / "images")
    save_tiny_clip(found.encoder)
    tiny_full_size().save_pretrained(found.captioner)
    models = [f"encoder:{found.encoder}", f"captioner:{found.captioner}"]
    done = run("-m", "imagetext.models.prepare", "--export-only", *models, "--engines", found.exported)
    assert done.returncode == 0, done.stderr
    found.images.mkdir()
    random = np.random.default_rng(0)
    for number in range(PICTURES):
        pixels = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(found.images / f"{number}.png")
    return found


@pytest.fixture(scope="module")
def index(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What the indexer has built, and its summary."""
    folder = tmp_path_factory.mktemp("index")
    command = ["-m", "indexer", "build", "--images", prepared.images, "--index", folder, "--json"]
    command += ["--model", prepared.encoder, "--captions", prepared.captioner, "--engines", prepared.exported]
    done = run(*command, environment=without_torch())
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def gateway(
    prepared: Prepared, index: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of the gateway, behind which all services run."""
    folder = tmp_path_factory.mktemp("services")
    ports = {name: free_port() for name in SERVICES}
    environment = without_torch(
        CAPTION_PORT=str(ports["caption"]),
        CAPTION_MODELS=prepared.captioner,
        CAPTION_ENGINES=folder / "engines",
        CAPTION_EXPORTED=prepared.exported,
        RETRIEVAL_PORT=str(ports["retrieval"]),
        RETRIEVAL_MODEL=prepared.encoder,
        RETRIEVAL_INDEX=index[0],
        RETRIEVAL_ENGINES=folder / "engines",
        RETRIEVAL_EXPORTED=prepared.exported,
        GATEWAY_PORT=str(ports["gateway"]),
        GATEWAY_CAPTION_URL=f"http://127.0.0.1:{ports['caption']}",
        GATEWAY_RETRIEVAL_URL=f"http://127.0.0.1:{ports['retrieval']}",
        GATEWAY_POLL_S="0.2",
    )
    with (folder / "log").open("wb") as log:
        processes = {
            name: subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
            for name in SERVICES
        }
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{ports['gateway']}", timeout=START_S) as client:
                deadline = time.monotonic() + START_S
                while not ready(client):
                    gone = [name for name, process in processes.items() if process.poll() is not None]
                    assert not gone, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.1)
                yield client
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(START_S)


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_neither_can_be_imported(module: str) -> None:
    """In these processes, and in those that they start; else nothing here would mean anything."""
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import {module}']))"

    done = run("-c", code, environment=without_torch())

    assert done.returncode == 1
    assert f"No module named '{module}'" in done.stderr


def test_the_indexer_builds(index: tuple[Path, dict[str, Any]]) -> None:
    """All pictures are encoded."""
    _, summary = index

    assert (summary["size"], summary["encoded"], summary["skipped"]) == (PICTURES, PICTURES, 0)


def test_models_name_their_engines(gateway: httpx.Client, prepared: Prepared) -> None:
    """Each network with the engine that was chosen for it here, and the milliseconds of one example."""
    models = {model["name"]: model for model in gateway.get("/v1/models").json()["models"]}

    assert set(models) == {prepared.encoder.name, prepared.captioner.name}
    assert set(models[prepared.encoder.name]["networks"]) == {"pictures", "texts"}
    assert set(models[prepared.captioner.name]["networks"]) == {"encoder", "decoder-step"}
    for model in models.values():
        for network in model["networks"].values():
            assert network["engine"].startswith(("openvino-", "onnxruntime"))
            assert network["milliseconds"] > 0


def test_a_picture_is_captioned(gateway: httpx.Client, prepared: Prepared) -> None:
    """Over HTTP, with words and where the model looked for them."""
    picture = (prepared.images / "0.png").read_bytes()

    reply = gateway.post("/v1/captions", files={"image": picture}, data={"attention": "true"})

    assert reply.status_code == 200, reply.text
    (caption,) = reply.json()["results"][0]["captions"]
    assert re.search(r"\w", caption["text"]) and caption["score"] < 0
    assert sum(map(sum, caption["words"][0]["attention"])) == pytest.approx(1, abs=0.01)


def test_pictures_are_found(gateway: httpx.Client, prepared: Prepared) -> None:
    """By words, and by a picture, which is nearest to itself; with the captions that the indexer wrote."""
    by_words = gateway.post("/v1/search", json={"text": "a dog", "k": PICTURES})
    picture = (prepared.images / "3.png").read_bytes()
    by_picture = gateway.post("/v1/search/image", files={"image": picture})

    assert (by_words.status_code, by_picture.status_code) == (200, 200), by_words.text + by_picture.text
    assert {hit["path"] for hit in by_words.json()["results"]} == {file.name for file in prepared.images.iterdir()}
    nearest = by_picture.json()["results"][0]
    assert nearest["path"] == "3.png" and nearest["score"] > 0.999
    assert re.search(r"\w", nearest["captions"][0])


@pytest.mark.parametrize(("service", "variable"), [("caption", "CAPTION_MODELS"), ("retrieval", "RETRIEVAL_MODEL")])
def test_what_was_not_exported_ends_the_start(prepared: Prepared, tmp_path: Path, service: str, variable: str) -> None:
    """With a sentence in the log that says what is missing and what helps."""
    source = prepared.captioner if service == "caption" else prepared.encoder
    more = {variable: source, f"{service.upper()}_ENGINES": tmp_path / "engines", f"{service.upper()}_PORT": "0"}

    ended = run("-m", f"services.{service}", environment=without_torch(**more))

    assert ended.returncode == 3
    assert "must be exported first" in ended.stdout
    assert not os.path.exists(tmp_path / "engines") or os.listdir(tmp_path / "engines") == []
