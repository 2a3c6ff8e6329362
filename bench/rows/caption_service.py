"""Pictures to sentences over HTTP, many callers at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load import Request
from bench.processes import Server, free_port, load, server
from bench.rivals.caption_endpoint import MODEL
from bench.row import Contest, Setting
from bench.rows.captions import GRU, VIT_BERT
from bench.rows.pictures import scenes

CALLERS = 16
PICTURES = 32
BOUNDARY = "bench-picture"


@contextmanager
def captions_at_once(setting: Setting) -> Iterator[Contest]:
    """The caption service against a plain endpoint: the same files, one in a request, 16 requests at once."""
    folder = VIT_BERT if VIT_BERT.is_dir() else GRU
    contents = [file.read_bytes() for file in scenes(setting)[:PICTURES]]
    seconds = setting.sized(5, 2)
    found: dict[str, list[Any]] = {"ours": [], "rival": []}
    with caption_service(setting, folder) as ours, _plain_endpoint(setting, folder) as rival:

        def turn(side: str, at: Server, requests: Sequence[Request]) -> float:
            before = at.cpu_seconds()
            summary = load(at.port, requests, callers=CALLERS, seconds=seconds)
            used = {"cpu_s": at.cpu_seconds() - before, "memory_mb": at.memory_mb()}
            found[side].append(summary | used)
            return float(summary["rate"])

        asked = [upload("/v1/captions", content) for content in contents]
        asked_rival = [upload("/captions", content) for content in contents]
        yield Contest(
            ours=lambda: turn("ours", ours, asked),
            rival=lambda: turn("rival", rival, asked_rival),
            engine=setting.chosen(folder.name),
            details=lambda: {"model": folder.name, **{side: rounds[-1] for side, rounds in found.items()}},
        )


@contextmanager
def caption_service(setting: Setting, folder: Path) -> Iterator[Server]:
    """Our service with one captioner."""
    port = free_port()
    environment = {
        "CAPTION_PORT": str(port),
        "CAPTION_MODELS": str(folder),
        "CAPTION_ENGINES": str(setting.engine_folder(folder.name)),
        "CAPTION_THREADS": str(setting.threads),
        "CAPTION_LOG_LEVEL": "WARNING",
    }
    log = setting.folder("logs") / "caption.log"
    with server(["-m", "services.caption"], environment, port, "/health/ready", log) as started:
        yield started


def upload(path: str, *contents: bytes) -> Request:
    """Pictures as a form's only files."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    parts = [head.encode() + content + b"\r\n" for content in contents]
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return Request(path, f"multipart/form-data; boundary={BOUNDARY}", body)


@contextmanager
def _plain_endpoint(setting: Setting, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "bench.rivals.caption_endpoint:create_app", "--port", str(port)]
    command += ["--log-level", "warning"]
    log = setting.folder("logs") / "caption-endpoint.log"
    with server(command, {MODEL: str(folder)}, port, "/ready", log) as started:
        yield started
