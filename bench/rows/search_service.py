"""Retrieval over HTTP: search through the gateway against the same in one process; CLIP embedding against infinity."""

import base64
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.load import Request, upload
from bench.processes import FAILED, Server, free_port, load, server
from bench.row import Contest, Floor, Missing, Setting
from bench.rows.embedding import CLIP, COMPACT, TEXT, clip_folder
from bench.rows.pictures import scenes
from bench.timing import milliseconds
from imagetext.engines import Engines
from imagetext.index import (
    EncoderRef,
    IndexOptions,
    IndexReader,
    PictureRow,
    picture_id,
    publish,
    version_folder,
    write_version,
)
from imagetext.models.encoder.engine import Encoder, load_encoder

SIZE = 8_000  # pictures in the index, as many as in Flickr8k
HITS = 12
CALLERS = 8
REPEATED = 64  # queries that the cache holds
NOT_CACHED = 1_000_000  # request numbers from here on are used only once
JSON = "application/json"
SENT_PICTURES = 32  # different pictures sent to infinity
SMALL_INDEX = 1_000  # pictures beside infinity
PROGRAM = Path("bin/infinity_emb")


@dataclass
class System:
    """Gateway and retrieval as processes, and the same index and model in this one."""

    gateway: Server
    retrieval: Sequence[Server]
    encoder: Encoder
    reader: IndexReader
    next: int = NOT_CACHED

    def uncached(
        self, callers: int, seconds: float, rate: float | None = None, errors: float = FAILED
    ) -> dict[str, Any]:
        """Requests that were never sent before; with a `rate`, in an open loop.

        At most the share `errors` may fail.
        """
        found = self._load([_search(f"{TEXT} on day {{n}}")], callers, seconds, self.next, rate, errors)
        self.next += int(found["sent"])
        return found

    def cached(self, callers: int, seconds: float) -> dict[str, Any]:
        """The same few requests again and again."""
        asked = [_search(f"{TEXT} on day {number}") for number in range(REPEATED)]
        return self._load(asked, callers, seconds, 0)

    def _load(
        self,
        requests: list[Request],
        callers: int,
        seconds: float,
        first: int,
        rate: float | None = None,
        errors: float = FAILED,
    ) -> dict[str, Any]:
        before = self._cpu_seconds()
        found = load(
            self.gateway.port, requests, callers=callers, seconds=seconds, first=first, rate=rate, errors=errors
        )
        used = self._cpu_seconds() - before
        memory = {
            "gateway_mb": self.gateway.memory_mb(),
            "retrieval_mb": sum(each.memory_mb() for each in self.retrieval),
        }
        return found | {"cpu_s": used, "per_core": found["answers"] / max(used, 0.01)} | memory

    def _cpu_seconds(self) -> float:
        return sum(each.cpu_seconds() for each in (self.gateway, *self.retrieval))


@contextmanager
def uncached_search(setting: Setting) -> Iterator[Contest]:
    """The median time of a search for one caller, against encoding and FAISS alone."""
    seconds, found = setting.sized(3, 1), list[dict[str, Any]]()
    with search_system(setting) as system:

        def ours() -> float:
            found.append(system.uncached(1, seconds))
            return float(found[-1]["p50"])

        def in_process() -> object:
            system.next += 1
            return system.reader.search(system.encoder.encode_texts([f"{TEXT} on day {system.next}"]), HITS)

        yield Contest(
            ours=ours,
            rival=lambda: milliseconds(in_process, seconds),
            floor=lambda: Floor(milliseconds(in_process, seconds), "the model and FAISS in this process"),
            engine=setting.chosen(COMPACT.name),
            details=lambda: {
                "index": system.reader.info.size,
                "one caller": found[-1],
                "open loop at half that rate": system.uncached(CALLERS, seconds, found[-1]["rate"] / 2),
            },
        )


@contextmanager
def cached_search(setting: Setting) -> Iterator[Contest]:
    """Requests per second of the servers' processor time: cached responses against new ones."""
    seconds, found = setting.sized(3, 1), dict[str, dict[str, Any]]()
    with search_system(setting) as system:

        def cached() -> float:
            found["cached"] = system.cached(CALLERS, seconds)
            return float(found["cached"]["per_core"])

        def uncached() -> float:
            found["uncached"] = system.uncached(CALLERS, seconds)
            return float(found["uncached"]["per_core"])

        yield Contest(ours=cached, rival=uncached, engine=setting.chosen(COMPACT.name), details=lambda: found)


@contextmanager
def search_system(setting: Setting, size: int = SIZE) -> Iterator[System]:
    """Gateway, retrieval and an index of random vectors."""
    encoder = load_encoder(COMPACT, setting.engines(COMPACT.name))
    with tempfile.TemporaryDirectory(dir=setting.folder("tmp")) as folder:
        index = Path(folder) / "index"
        version = write_index(index, encoder, size)
        reader = IndexReader.open(version_folder(index, version))
        with retrieval_service(setting, COMPACT, index) as retrieval, _gateway(setting, [retrieval]) as gateway:
            yield System(gateway, [retrieval], encoder, reader)
        reader.close()


@contextmanager
def replicated_search(setting: Setting, most: int) -> Iterator[Iterator[System]]:
    """A system with one replica of retrieval, one with two, and so on; each replica has one thread."""
    encoder = load_encoder(COMPACT, Engines(_engine_folder(setting, COMPACT, 1), threads=1))
    with tempfile.TemporaryDirectory(dir=setting.folder("tmp")) as folder, ExitStack() as started:
        index = Path(folder) / "index"
        reader = IndexReader.open(version_folder(index, write_index(index, encoder, SIZE)))
        started.callback(reader.close)

        def systems() -> Iterator[System]:
            replicas = list[Server]()
            for number in range(1, most + 1):
                replicas.append(
                    started.enter_context(retrieval_service(setting, COMPACT, index, threads=1, number=number))
                )
                with _gateway(setting, replicas) as gateway:
                    yield System(gateway, list(replicas), encoder, reader)

        yield systems()


def write_index(index: Path, encoder: Encoder, size: int) -> str:
    """An index of random unit vectors whose picture files do not exist; returns its version."""
    vectors = np.random.default_rng(0).standard_normal((size, encoder.dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"folder/picture-{row:06d}.jpg" for row in range(size)]
    rows = [
        PictureRow(row, picture_id(name), name, f"{row:064d}", 100_000, 0, 640, 480) for row, name in enumerate(names)
    ]
    index.mkdir(parents=True)
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    exact = IndexOptions(kind="flat")  # random vectors have no structure that another kind could exploit
    version = write_version(index, rows, vectors, encoder=made_by, images_root=index, options=exact)
    publish(index, version)
    return version


@contextmanager
def retrieval_service(
    setting: Setting, model: Path, index: Path, *, threads: int | None = None, number: int = 1
) -> Iterator[Server]:
    """Our service with a model folder and an index; `number` tells replicas apart."""
    port = free_port()
    environment = {
        "RETRIEVAL_PORT": str(port),
        "RETRIEVAL_MODEL": str(model),
        "RETRIEVAL_INDEX": str(index),
        "RETRIEVAL_ENGINES": str(_engine_folder(setting, model, threads)),
        "RETRIEVAL_THREADS": str(threads or setting.threads),
        "RETRIEVAL_LOG_LEVEL": "WARNING",
    }
    log = setting.folder("logs") / f"retrieval-{number}.log"
    with server(["-m", "services.retrieval"], environment, port, "/health/ready", log) as started:
        yield started


@contextmanager
def _gateway(setting: Setting, retrieval: Sequence[Server]) -> Iterator[Server]:
    """Without a caption service, which searches do not need."""
    port = free_port()
    environment = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_CAPTION_URL": f"http://127.0.0.1:{free_port()}",
        "GATEWAY_RETRIEVAL_URL": ",".join(each.url for each in retrieval),
        "GATEWAY_LOG_LEVEL": "ERROR",
    }
    log = setting.folder("logs") / "gateway.log"
    with server(["-m", "services.gateway"], environment, port, _search("ready"), log) as started:
        yield started


def _engine_folder(setting: Setting, model: Path, threads: int | None) -> Path:
    return setting.engine_folder(model.name if threads is None else f"{model.name}-{threads}-threads")


def _search(text: str) -> Request:
    return Request("/v1/search", JSON, json.dumps({"text": text, "k": HITS}).encode())


@contextmanager
def clip_over_http(setting: Setting, callers: int) -> Iterator[Contest]:
    """The same files, one per request, `callers` at once. Raises Missing if infinity is not installed."""
    program = _program(setting)
    model, seconds = clip_folder(setting), setting.sized(5, 2)
    contents = [file.read_bytes() for file in scenes(setting)[:SENT_PICTURES]]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=setting.folder("tmp")) as folder:
        index = Path(folder) / "index"
        write_index(index, load_encoder(model), SMALL_INDEX)
        with retrieval_service(setting, model, index) as ours, _infinity(setting, program, model) as rival:

            def turn(side: str, at: Server, requests: list[Request]) -> float:
                before = at.cpu_seconds()
                summary = load(at.port, requests, callers=callers, seconds=seconds)
                found[side] = summary | {"cpu_s": at.cpu_seconds() - before, "memory_mb": at.memory_mb()}
                return float(summary["rate"])

            asked = [upload("/v1/search/image", content) for content in contents]
            asked_rival = [_embedding_request(content) for content in contents]
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


def _embedding_request(content: bytes) -> Request:
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
