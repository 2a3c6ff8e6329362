"""A service with one slow answer, run as a process by test_serve.py: as any service is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from pydantic_settings import SettingsConfigDict

from imagetext.wire.errors import ModelError
from services.chassis import app as chassis
from services.chassis.serve import ServerSettings, serve

router = APIRouter()


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="SLOW_")

    answer_s: float = 1
    fails: str = ""  # the step of the start that fails


@router.get("/slow")
async def slow(request: Request) -> PlainTextResponse:
    request.state.begun.set()
    await asyncio.sleep(request.state.answer_s)
    return PlainTextResponse("done")


@router.get("/begun")
async def begun(request: Request) -> None:
    """Answers once a slow request is being worked on."""
    await request.state.begun.wait()


def create_app(settings: Settings) -> FastAPI:
    if settings.fails == "create_app":
        raise ModelError("The model is missing in create_app.")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        if settings.fails == "lifespan":
            raise ModelError("The model is missing in lifespan.")
        yield {"begun": asyncio.Event(), "answer_s": settings.answer_s}

    return chassis.create_app(
        "slow", lifespan=lifespan, ready=dict, max_body_bytes=settings.max_body_bytes, routers=[router]
    )


if __name__ == "__main__":
    serve("slow", Settings, create_app)
