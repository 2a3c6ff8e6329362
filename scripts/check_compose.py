"""Checks docker-compose.yml and the Dockerfiles it names, without a Docker engine. One line for each mistake."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script, Python looks in scripts/ only

from services.caption.settings import Settings as CaptionSettings  # noqa: E402
from services.gateway.settings import Settings as GatewaySettings  # noqa: E402
from services.retrieval.settings import Settings as RetrievalSettings  # noqa: E402

SETTINGS: dict[str, type[BaseSettings]] = {
    "caption": CaptionSettings,
    "gateway": GatewaySettings,
    "retrieval": RetrievalSettings,
}
PYTHON_VARIABLES = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def mistakes(compose: dict[str, Any], root: Path) -> Iterator[str]:
    """What is wrong, a sentence each.

    Args:
        compose: docker-compose.yml as it was parsed.
        root: the folder that it lies in.
    """
    services: dict[str, Any] = compose.get("services") or {}
    dockerfiles = {name: file for name, each in services.items() if (file := _dockerfile(each, root)) is not None}
    for name, service in services.items():
        if name not in dockerfiles and "image" not in service:
            yield f"{name}: has neither an image nor a build with a Dockerfile that exists"
        for other in service.get("depends_on") or ():
            if other not in services:
                yield f"{name}: depends on {other}, which is not a service"
        for volume in service.get("volumes") or ():
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            if not source.startswith((".", "/")) and source not in (compose.get("volumes") or {}):
                yield f"{name}: mounts the volume {source}, which is not declared"
    for name, file in dockerfiles.items():
        yield from _unknown_variables(name, services[name].get("environment") or {}, file)
        yield from _wrong_port(name, file)
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            yield from _wrong_address(f"{name}: {variable}", str(value), services, dockerfiles)
        for published in service.get("ports") or ():
            inside = int(str(published).rpartition(":")[2])
            if name in dockerfiles and inside != _exposed(dockerfiles[name]):
                yield f"{name}: publishes port {inside}, but its Dockerfile exposes {_exposed(dockerfiles[name])}"


def _dockerfile(service: dict[str, Any], root: Path) -> Path | None:
    build = service.get("build")
    if build is None:
        return None
    file = root / build["context"] / build.get("dockerfile", "Dockerfile")
    return file if file.is_file() else None


def _unknown_variables(name: str, environment: dict[str, Any], dockerfile: Path) -> Iterator[str]:
    kind = SETTINGS.get(name)
    if kind is None:
        return
    prefix = kind.model_config.get("env_prefix", "")
    known = PYTHON_VARIABLES | {f"{prefix}{field}".upper() for field in kind.model_fields}
    for variable in sorted({*environment, *_variables(dockerfile)} - known):
        yield f"{name}: {variable} is not a setting of this service"


def _wrong_port(name: str, dockerfile: Path) -> Iterator[str]:
    set_to = _variables(dockerfile).get(f"{name.upper()}_PORT")
    if set_to is not None and int(set_to) != _exposed(dockerfile):
        yield f"{name}: listens on port {set_to}, but its Dockerfile exposes {_exposed(dockerfile)}"
    for port in map(int, re.findall(r"http://127\.0\.0\.1:(\d+)", dockerfile.read_text())):
        if port != _exposed(dockerfile):
            yield f"{name}: its health check asks port {port}, but its Dockerfile exposes {_exposed(dockerfile)}"


def _wrong_address(where: str, value: str, services: dict[str, Any], dockerfiles: dict[str, Path]) -> Iterator[str]:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "redis") or not parts.hostname:
        return
    if parts.hostname not in services:
        yield f"{where} names {parts.hostname}, which is not a service"
    elif parts.hostname in dockerfiles and parts.port != _exposed(dockerfiles[parts.hostname]):
        yield f"{where} names port {parts.port}, but {parts.hostname} exposes {_exposed(dockerfiles[parts.hostname])}"


def _variables(dockerfile: Path) -> dict[str, str]:
    text = dockerfile.read_text().replace("\\\n", " ")
    return dict(pair for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in _pairs(line))


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    for word in line.split():
        name, _, value = word.partition("=")
        yield name, value


def _exposed(dockerfile: Path) -> int | None:
    found = re.search(r"^EXPOSE (\d+)$", dockerfile.read_text(), re.MULTILINE)
    return int(found[1]) if found else None


def main() -> int:
    try:
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    except yaml.YAMLError as error:
        sys.stderr.write(f"docker-compose.yml is not valid YAML: {error}\n")
        return 1
    found = list(mistakes(compose, ROOT))
    sys.stderr.writelines(f"docker-compose.yml: {mistake}\n" for mistake in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
