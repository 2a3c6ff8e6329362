"""docker-compose.yml and the check of it that runs without a Docker engine."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.check_compose import ROOT, mistakes

Compose = dict[str, Any]


@pytest.fixture(scope="module")
def compose() -> Compose:
    found: Compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_ours_is_right() -> None:
    """The script that `make check` calls finds nothing in the project's own file."""
    done = subprocess.run(
        [sys.executable, "scripts/check_compose.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def _set(*path: str, value: object) -> Callable[[Compose], None]:
    def change(compose: Compose) -> None:
        at = compose["services"]
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            _set("web", "build", "context", value="services/page"),
            "web: has neither an image nor a build with a Dockerfile that exists",
        ),
        (_set("gateway", "depends_on", value=["captions"]), "gateway: depends on captions, which is not a service"),
        (
            _set("retrieval", "volumes", value=["indexes:/index"]),
            "retrieval: mounts the volume indexes, which is not declared",
        ),
        (
            _set("gateway", "environment", "GATEWAY_REDIS", value="redis://redis:6379/0"),
            "gateway: GATEWAY_REDIS is not a setting of this service",
        ),
        (
            _set("gateway", "environment", "GATEWAY_CAPTION_URL", value="http://captions:8001"),
            "gateway: GATEWAY_CAPTION_URL names captions, which is not a service",
        ),
        (
            _set("gateway", "environment", "GATEWAY_CAPTION_URL", value="http://caption:8002"),
            "gateway: GATEWAY_CAPTION_URL names port 8002, but caption exposes 8001",
        ),
        (
            _set("web", "ports", value=["${PORT:-8080}:80"]),
            "web: publishes port 80, but its Dockerfile exposes 8080",
        ),
    ],
)
def test_a_mistake_is_named(compose: Compose, change: Callable[[Compose], None], sentence: str) -> None:
    """Each mistake is one sentence, and nothing else is found."""
    changed = copy.deepcopy(compose)
    change(changed)

    assert list(mistakes(changed, ROOT)) == [sentence]


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence"),
    [
        ("CAPTION_PORT=8001", "CAPTION_PORT=8009", "caption: listens on port 8009, but its Dockerfile exposes 8001"),
        ("127.0.0.1:8001", "127.0.0.1:80", "caption: its health check asks port 80, but its Dockerfile exposes 8001"),
        ("CAPTION_ENGINES=", "CAPTION_MOTORS=", "caption: CAPTION_MOTORS is not a setting of this service"),
    ],
)
def test_a_mistake_in_a_dockerfile_is_named(
    compose: Compose, tmp_path: Path, ours: str, theirs: str, sentence: str
) -> None:
    """What an image sets is checked against the service's settings and the port that it exposes."""
    for file in ("services/web", "services/gateway", "services/caption", "services/retrieval", "indexer"):
        text = (ROOT / file / "Dockerfile").read_text()
        assert file != "services/caption" or ours in text
        (tmp_path / file).mkdir(parents=True)
        (tmp_path / file / "Dockerfile").write_text(text.replace(ours, theirs))

    assert list(mistakes(compose, tmp_path)) == [sentence]
