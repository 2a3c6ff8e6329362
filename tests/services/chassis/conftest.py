"""A small application on the chassis, with an endpoint for each thing that the chassis must handle."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from imagetext.wire.errors import Busy, NotAPicture
from services.chassis.app import create_app
from services.chassis.bodies import read_upload
from services.chassis.disconnect import while_connected
from services.chassis.observing import current_request_id

MAX_BODY_BYTES = 1_000


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int = Field(ge=1, le=9)


class Shop:
    """What is not ready, by part; `open` tells whether the lifespan runs."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.open = False
        self.waiting = threading.Event()
        self.dropped = threading.Event()

    def not_ready(self) -> dict[str, str]:
        return self.missing

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[dict[str, object]]:
        self.open = True
        yield {"shop": self}
        self.open = False


def _router() -> APIRouter:
    router = APIRouter()

    @router.get("/items/{item}")
    async def item(item: int) -> dict[str, int]:
        return {"item": item}

    @router.post("/orders")
    async def order(order: Order) -> Order:
        return order

    @router.post("/raw")
    async def raw(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @router.post("/unread")
    async def unread() -> PlainTextResponse:
        return PlainTextResponse("never looked")

    @router.get("/id")
    async def request_id() -> PlainTextResponse:
        return PlainTextResponse(current_request_id() or "none", headers={"X-Request-ID": "from-upstream"})

    @router.get("/busy")
    async def busy() -> None:
        raise Busy("The queue is full.", retry_after=7)

    @router.get("/not-a-picture")
    async def not_a_picture() -> None:
        raise NotAPicture("This is a text.")

    @router.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Pot": "tea"})

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the secret is hunter2")

    @router.get("/shop")
    async def shop(request: Request) -> Response:
        return PlainTextResponse("open" if request.state.shop.open else "closed")

    @router.post("/wait")
    async def wait(request: Request) -> Response:
        async def work() -> str:
            request.state.shop.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                request.state.shop.dropped.set()
                raise
            return "done"

        await request.body()
        return PlainTextResponse(await while_connected(request, work()))

    @router.post("/quick")
    async def quick(request: Request) -> Response:
        async def work() -> str:
            return "done"

        return PlainTextResponse(await while_connected(request, work()))

    @router.post("/failing")
    async def failing(request: Request) -> Response:
        async def work() -> str:
            raise Busy("The queue is full.")

        return PlainTextResponse(await while_connected(request, work()))

    @router.post("/upload")
    async def upload(request: Request) -> dict[str, object]:
        upload = await read_upload(request, max_pictures=2)
        return {"pictures": [picture.decode() for picture in upload.pictures], "options": upload.options}

    return router


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def app(shop: Shop) -> FastAPI:
    return create_app(
        "shop", lifespan=shop.lifespan, ready=shop.not_ready, max_body_bytes=MAX_BODY_BYTES, routers=[_router()]
    )
