"""Pictures to CLIP's vectors over HTTP: the retrieval service, which searches with them besides, against infinity."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load import Request
from bench.processes import Server, free_port, load, server
from bench.row import Contest, Missing, Setting
from bench.rows.caption_service import upload
from bench.rows.embedding import CLIP, clip_folder
from bench.rows.pictures import scenes
from bench.rows.search_service import retrieval_service, write_index
from imagetext.models.encoder.engine import load_encoder

PICTURES = 32
INDEX = 1_000
PROGRAM = Path("bin/infinity_emb")


@contextmanager
def clip_over_http(setting: Setting, callers: int) -> Iterator[Contest]:
    """The same files, one in a request. Raises Missing where infinity is not there."""
    program = _program(setting)
    model, seconds = clip_folder(setting), setting.sized(5, 2)
    contents = [file.read_bytes() for file in scenes(setting)[:PICTURES]]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=setting.folder("tmp")) as folder:
        index = Path(folder) / "index"
        write_index(index, load_encoder(model), INDEX)
        with retrieval_service(setting, model, index) as ours, _infinity(setting, program, model) as rival:

            def turn(side: str, at: Server, requests: list[Request]) -> float:
                before = at.cpu_seconds()
                summary = load(at.port, requests, callers=callers, seconds=seconds)
                found[side] = summary | {"cpu_s": at.cpu_seconds() - before, "memory_mb": at.memory_mb()}
                return float(summary["rate"])

            asked = [upload("/v1/search/image", content) for content in contents]
            asked_rival = [_embedding(content) for content in contents]
            yield Contest(
                ours=lambda: turn("ours", ours, asked),
                rival=lambda: turn("rival", rival, asked_rival),
                engine=setting.chosen(CLIP),
                details=lambda: found | {"lower p99": found["ours"]["p99"] < found["rival"]["p99"]},
            )


def _program(setting: Setting) -> Path:
    if setting.infinity is None:
        raise Missing("give --infinity DIR, see docs/benchmarks.md")
    program = setting.infinity / PROGRAM
    if not program.exists():
        raise Missing(f"{setting.infinity} has no {PROGRAM}")
    return program.absolute()


def _embedding(content: bytes) -> Request:
    address = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    body = {"model": CLIP, "input": [address], "modality": "image"}
    return Request("/embeddings", "application/json", json.dumps(body).encode())


@contextmanager
def _infinity(setting: Setting, program: Path, model: Path) -> Iterator[Server]:
    port, python = free_port(), str(program.with_name("python"))
    command = [str(program), "v2", "--model-id", str(model.absolute())]
    command += ["--served-model-name", CLIP, "--engine", "torch", "--device", "cpu", "--dtype", "float32"]
    command += ["--port", str(port), "--log-level", "warning"]
    log = setting.folder("logs") / "infinity.log"
    with server(command, {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}, port, "/health", log, python=python) as started:
        yield started
