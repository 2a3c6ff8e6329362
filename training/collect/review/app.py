"""The page on which a person reviews, and the few calls that it makes. For this machine alone."""

import threading
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from imagetext.errors import ImageTextError, InvalidParameter
from imagetext.pictures import open_picture, thumbnail
from training.collect.folder import CollectionFolder, FoundPicture
from training.collect.review.decisions import Review, Verdict

HOST = "127.0.0.1"
_PAGE = Path(__file__).parent / "page"
_SIDE = 1200  # pixels that a screen shows
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Shown(BaseModel):
    """A picture as the page needs it."""

    id: str
    text: str
    width: int
    height: int
    author: str
    licence: str
    licence_url: str
    source_url: str
    provider: str


class State(BaseModel):
    """How far the review is; `current` is what to decide now, `next` what to fetch ahead."""

    total: int
    accepted: int
    rejected: int
    can_undo: bool
    current: Shown | None
    next: str | None


class Decided(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    verdict: Verdict
    text: str


def create_app(folder: CollectionFolder) -> FastAPI:
    """Raises InvalidParameter when the folder holds no collection that can be read."""
    app = FastAPI(title="Review", openapi_url=None)
    review = Review(folder)
    # One person may have two windows open: decisions are made one after the other.
    lock = threading.Lock()

    @app.get("/state")
    def state() -> State:
        with lock:
            return _state(review)

    @app.post("/decisions")
    def decide(decided: Decided) -> State:
        with lock:
            review.decide(decided.id, decided.verdict, decided.text)
            return _state(review)

    # A JSON body even here: a form of another site cannot send one without asking first.
    @app.post("/undo")
    def undo(_: dict[str, str]) -> State:
        with lock:
            return _state(review, first=review.undo())

    @app.get("/pictures/{id}")
    def picture(id: str) -> Response:
        path = folder.folder / review.picture(id).path
        content = thumbnail(open_picture(path, target=_SIDE), _SIDE)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    app.mount("/", _Page(directory=_PAGE, html=True))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_exception_handler(ImageTextError, _problem)
    app.add_exception_handler(RequestValidationError, _problem)
    return app


def _state(review: Review, first: str | None = None) -> State:
    waiting = list(review.waiting)
    if first in review.pictures:
        waiting.sort(key=lambda picture: picture.id != first)
    verdicts = [decision.verdict for decision in review.decisions.values()]
    return State(
        total=len(review.pictures),
        accepted=verdicts.count("accepted"),
        rejected=verdicts.count("rejected"),
        can_undo=bool(verdicts),
        current=_shown(waiting[0]) if waiting else None,
        next=waiting[1].id if len(waiting) > 1 else None,
    )


def _shown(picture: FoundPicture) -> Shown:
    return Shown.model_validate(picture, from_attributes=True)


async def _problem(_: Request, error: Exception) -> Response:
    if isinstance(error, ImageTextError):
        return JSONResponse({"detail": error.detail}, error.status)
    return JSONResponse({"detail": "The request has missing or unknown fields."}, InvalidParameter.status)


class _Page(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response
