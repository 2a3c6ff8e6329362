"""The review of found pictures: decisions, written at once and never lost, and the local page to make them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from imagetext.pictures import open_picture, thumbnail
from imagetext.wire.errors import ImageTextError, InvalidParameter, NotFound
from training.collect.collection import CollectionFolder, FoundPicture, all_pictures

Verdict = Literal["accepted", "rejected"]
_CHARACTERS = range(3, 301)  # of an accepted sentence
HOST = "127.0.0.1"
_PAGE = Path(__file__).with_name("review_page")
_SIDE = 1200  # pixels
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Decision:
    """A person's verdict on a picture; `text` is the sentence as edited."""

    id: str
    verdict: Verdict
    text: str


class Review:
    """The pictures of a collection with their decisions. The last decision for a picture holds."""

    def __init__(self, folder: CollectionFolder) -> None:
        self.pictures = {picture.id: picture for picture in all_pictures(folder.read())}
        self._journal = folder.decisions
        self._made: list[Decision] = []
        for record in self._journal.read():
            if record.get("verdict") == "undone":
                self._made = self._made[:-1]
            elif record.get("verdict") in ("accepted", "rejected") and record.get("id") in self.pictures:
                self._made.append(Decision(record["id"], record["verdict"], str(record["text"])))

    @property
    def decisions(self) -> dict[str, Decision]:
        return {decision.id: decision for decision in self._made}

    @property
    def waiting(self) -> Sequence[FoundPicture]:
        """Undecided pictures in the order in which they were found."""
        decided = self.decisions
        return [picture for picture in self.pictures.values() if picture.id not in decided]

    def picture(self, id: str) -> FoundPicture:
        """Raises NotFound."""
        if id not in self.pictures:
            raise NotFound("There is no such picture in this collection.")
        return self.pictures[id]

    def decide(self, id: str, verdict: Verdict, text: str) -> None:
        """On the disk when this returns.

        Raises:
            NotFound: there is no such picture.
            InvalidParameter: the sentence is too short or too long.
        """
        self.picture(id)
        text = " ".join(text.split())
        if verdict == "accepted" and len(text) not in _CHARACTERS:
            raise InvalidParameter(f"A sentence must have between {_CHARACTERS[0]} and {_CHARACTERS[-1]} characters.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._journal.append({"id": id, "verdict": verdict, "text": text, "at": now})
        self._made.append(Decision(id, verdict, text))

    def undo(self) -> str | None:
        """Take back the last decision. Returns its picture, or None if there is none."""
        if not self._made:
            return None
        self._journal.append({"verdict": "undone", "at": datetime.now(UTC).isoformat(timespec="seconds")})
        return self._made.pop().id

    def accepted(self) -> list[tuple[FoundPicture, str]]:
        """The accepted pictures with their sentences."""
        decided = self.decisions.values()
        return [(self.pictures[one.id], one.text) for one in decided if one.verdict == "accepted"]


class Shown(BaseModel):
    """A picture for the page."""

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
    """Progress of the review; `current` is to be decided now, `next` to be prefetched."""

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
    """Raises InvalidParameter if the folder holds no readable collection."""
    app = FastAPI(title="Review", openapi_url=None)
    review = Review(folder)
    # Two windows may be open, so decisions are serialised.
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

    # A JSON body even here: a form on another site cannot send one without a CORS preflight.
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
