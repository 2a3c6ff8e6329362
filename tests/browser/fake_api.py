"""A fake gateway: it keeps the API's contract, answers from drawn pictures, and is slow or busy on demand."""

import asyncio
import base64
import io
import re
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from PIL import Image

from imagetext.wire.captions import (
    Caption,
    CaptionJSONRequest,
    CaptionOptions,
    CaptionReply,
    CaptionResult,
    Label,
    LabelReply,
    LabelResult,
    Word,
)
from imagetext.wire.contracts import LoadedModel, Models, Problem
from imagetext.wire.errors import Busy, ImageTextError, NotAPicture, NotFound, Unavailable
from imagetext.wire.index import IndexInfo, IndexRef
from imagetext.wire.search import Hit, SearchReply, SearchRequest
from tests.browser.fake_versions import FakeVersions, add_versions
from tests.browser.shapes import ShapePicture, shape_library

SENTENCES = (
    ("a red circle on a blue ground", -0.31),
    ("a red ball in front of a wall", -0.80),
    ("a circle", -1.60),
)
GRID = 7


@dataclass
class FakeApi:
    """What the service holds and how it behaves. Tests change it while it runs."""

    url: str = ""  # where it listens
    library: list[ShapePicture] = field(default_factory=shape_library)
    captioners: list[str] = field(default_factory=lambda: ["caption-gru"])
    sentences: tuple[tuple[str, float], ...] = SENTENCES
    labels: tuple[tuple[str, float], ...] = ()
    confidence: float | None = None  # of each caption
    held: str | None = None  # requests with these words wait until it is None; "" holds every request
    busy_times: int = 0  # this many further requests get a 429
    retry_after: int = 1
    has_index: bool = True
    versions: FakeVersions = field(default_factory=FakeVersions)
    asked: list[dict[str, Any]] = field(default_factory=list)  # options of every caption and search request
    labelled: list[str] = field(default_factory=list)  # file name of every picture that labels were asked for

    async def answer(self, **request: Any) -> None:
        self.asked.append(request)
        while self.held is not None and self.held in (request.get("text") or ""):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # not an Event: the test runs in another thread
        if self.busy_times > 0:
            self.busy_times -= 1
            raise Busy("Too many pictures are waiting.", retry_after=self.retry_after)

    def find(self, wanted: frozenset[str], k: int, offset: int) -> SearchReply:
        if not self.has_index:
            raise Unavailable("There is no index yet. Build one from a folder of pictures.")
        ranked = sorted(self.library, key=lambda picture: -_relevance(picture, wanted))
        hits = [_hit(picture, _relevance(picture, wanted)) for picture in ranked[offset : offset + k]]
        return SearchReply(index=self._index(), results=hits, took_ms=4.2)

    def picture(self, id: str) -> ShapePicture:
        for picture in self.library:
            if picture.id == id:
                return picture
        raise NotFound("There is no picture with this id.")

    def _index(self) -> IndexRef:
        return IndexRef(version="20260102T030405", size=len(self.library))


def create_app(api: FakeApi, static: Path, headers: dict[str, str]) -> FastAPI:
    """The service, and the page with the given headers."""
    app = FastAPI()

    @app.exception_handler(ImageTextError)
    async def show_problem(request: Request, error: ImageTextError) -> JSONResponse:
        problem = Problem(title=error.title, status=error.status, detail=error.detail)
        retry = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return JSONResponse(problem.model_dump(), error.status, retry, media_type="application/problem+json")

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.update(headers)
        return response

    _add_captions(app, api)
    _add_labels(app, api)
    _add_search(app, api)
    _add_pictures(app, api)
    add_versions(app, api.versions)
    app.mount("/", StaticFiles(directory=static, html=True))
    return app


def _add_captions(app: FastAPI, api: FakeApi) -> None:
    @app.post("/v1/captions")
    async def caption(request: Request) -> CaptionReply:
        if request.headers["content-type"].startswith("application/json"):
            body = CaptionJSONRequest.model_validate(await request.json())
            options = CaptionOptions.model_validate(body.model_dump(exclude={"url", "image"}))
            picture = base64.b64decode(body.image) if body.image else shape_library()[0].encoded()
            await api.answer(url=body.url, **options.model_dump())
        else:
            form = dict(await request.form())
            upload = form.pop("image")
            options = CaptionOptions.model_validate(form)
            picture = await upload.read()  # type: ignore[union-attr]
            await api.answer(image=upload.filename, **options.model_dump())  # type: ignore[union-attr]
        width, height = _size(picture)
        sentences = api.sentences[: options.num_captions]
        captions = [_caption(text, score, api.confidence, options.attention) for text, score in sentences]
        model = _model(options.model or api.captioners[0], "captioner")
        return CaptionReply(model=model, results=[CaptionResult(captions=captions, width=width, height=height)])


def _add_labels(app: FastAPI, api: FakeApi) -> None:
    @app.post("/v1/labels")
    async def label(request: Request) -> LabelReply:
        if not api.labels:
            raise Unavailable("The retrieval service cannot be reached.")
        upload = (await request.form())["image"]
        _size(await upload.read())  # type: ignore[union-attr]
        api.labelled.append(upload.filename)  # type: ignore[union-attr, arg-type]
        labels = [Label(name=name, probability=probability) for name, probability in api.labels]
        result = LabelResult(labels=labels, width=480, height=320)
        return LabelReply(model=_model("compact-clip", "encoder"), results=[result])


def _add_search(app: FastAPI, api: FakeApi) -> None:
    @app.post("/v1/search")
    async def search(request: SearchRequest) -> SearchReply:
        await api.answer(**request.model_dump())
        wanted = api.picture(request.like).words if request.like else frozenset(re.findall(r"\w+", request.text or ""))
        return api.find(wanted, request.k, request.offset)

    @app.post("/v1/search/image")
    async def search_image(image: UploadFile, k: Annotated[int, Form()] = 12) -> SearchReply:
        await api.answer(image=image.filename, k=k)
        _size(await image.read())
        return api.find(frozenset(("red", "circle")), k, 0)

    @app.get("/v1/index")
    async def index() -> IndexInfo:
        if not api.has_index:
            raise Unavailable("There is no index yet. Build one from a folder of pictures.")
        if api.versions.changed is not None:
            return api.versions.changed
        return IndexInfo(
            version="20260102T030405", size=len(api.library), encoder="compact-clip", created="2026-01-02T03:04:05Z"
        )

    @app.get("/v1/models")
    async def models() -> Models:
        captioners = [_model(name, "captioner", default=place == 0) for place, name in enumerate(api.captioners)]
        return Models(models=[*captioners, _model("compact-clip", "encoder")])


def _add_pictures(app: FastAPI, api: FakeApi) -> None:
    @app.get("/v1/images/{id}")
    async def picture(id: str) -> Response:
        return Response(api.picture(id).encoded(), media_type="image/jpeg")

    @app.get("/v1/images/{id}/thumbnail")
    async def thumbnail(id: str) -> Response:
        return Response(api.picture(id).encoded(), media_type="image/jpeg")


def _size(data: bytes) -> tuple[int, int]:
    try:
        return Image.open(io.BytesIO(data)).size
    except OSError:
        raise NotAPicture("This file is not a picture, or not of a kind that is read here.") from None


def _caption(text: str, score: float, confidence: float | None, attention: bool) -> Caption:
    words = text.split()
    maps = [_spot(place / len(words), 0.5) if attention else None for place in range(len(words))]
    spoken = [Word(text=word, attention=map) for word, map in zip(words, maps, strict=True)]
    return Caption(text=text, score=score, confidence=confidence, words=spoken)


def _spot(x: float, y: float) -> list[list[float]]:
    """Attention around one place, given as shares of the picture's width and height."""
    marks = [(place + 0.5) / GRID for place in range(GRID)]
    raw = [[exp(-((across - x) ** 2 + (down - y) ** 2) / 0.03) for across in marks] for down in marks]
    total = sum(map(sum, raw))
    return [[value / total for value in row] for row in raw]


def _relevance(picture: ShapePicture, wanted: frozenset[str]) -> float:
    return (0.03, 0.45, 0.86, 0.98)[len(picture.words & wanted)]


def _hit(picture: ShapePicture, relevance: float) -> Hit:
    url = f"/v1/images/{picture.id}"
    return Hit(
        id=picture.id,
        path=picture.path,
        score=relevance / 3,
        relevance=relevance,
        url=url,
        thumbnail_url=f"{url}/thumbnail",
        width=picture.width,
        height=picture.height,
        captions=[f"a {picture.path.rpartition('/')[2].removesuffix('.jpg')}"] if "circle" in picture.path else [],
    )


def _model(name: str, kind: str, *, default: bool = True) -> LoadedModel:
    return LoadedModel(name=name, kind=kind, fingerprint="0" * 16, parameters=6_200_000, default=default)
