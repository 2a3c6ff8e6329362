"""Words to pictures over HTTP through the gateway, against the same work in one process."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.load import Request
from bench.processes import FAILED, Server, free_port, load, server
from bench.rounds import milliseconds
from bench.row import Contest, Floor, Setting
from bench.rows.embedding import COMPACT, TEXT
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

SIZE = 8_000  # pictures in the index: as many as Flickr8k has
HITS = 12
CALLERS = 8
ASKED_AGAIN = 64  # queries that the cache holds
NOT_CACHED = 1_000_000  # numbers of requests from here on are asked once only
JSON = "application/json"


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
        """Requests that nobody has sent before; with a rate they come when they are due, answered or not.

        No more than a share of `errors` may fail.
        """
        found = self._load([_search(f"{TEXT} on day {{n}}")], callers, seconds, self.next, rate, errors)
        self.next += int(found["sent"])
        return found

    def cached(self, callers: int, seconds: float) -> dict[str, Any]:
        """The same few requests again and again."""
        asked = [_search(f"{TEXT} on day {number}") for number in range(ASKED_AGAIN)]
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
    """Requests for each second of processor time that the servers take, known answers against new ones."""
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
    """An index of random unit vectors of pictures that are not there; returns its version."""
    vectors = np.random.default_rng(0).standard_normal((size, encoder.dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"folder/picture-{row:06d}.jpg" for row in range(size)]
    rows = [
        PictureRow(row, picture_id(name), name, f"{row:064d}", 100_000, 0, 640, 480) for row, name in enumerate(names)
    ]
    index.mkdir(parents=True)
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    exact = IndexOptions(kind="flat")  # random vectors have no neighbourhoods that another kind could use
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
