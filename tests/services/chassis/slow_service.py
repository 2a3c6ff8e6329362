"""A service with one slow answer, run as a process by test_serve.py: directly, or by gunicorn through create_app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from pydantic_settings import SettingsConfigDict

from services.chassis import app as chassis
from services.chassis.serve import ServerSettings, configure_logging, read_settings, serve

router = APIRouter()


class Settings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="SLOW_")


@router.get("/slow")
async def slow(request: Request) -> PlainTextResponse:
    request.state.begun.set()
    await asyncio.sleep(1)
    return PlainTextResponse("done")


@router.get("/begun")
async def begun(request: Request) -> None:
    """Answers once a slow request is being worked on."""
    await request.state.begun.wait()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    yield {"begun": asyncio.Event()}


def create_app(settings: Settings | None = None) -> FastAPI:
    if settings is None:
        settings = read_settings(Settings)
        configure_logging("slow", settings.log_level)
    return chassis.create_app(
        "slow", lifespan=lifespan, ready=dict, max_body_bytes=settings.max_body_bytes, routers=[router]
    )


if __name__ == "__main__":
    settings = read_settings(Settings)
    configure_logging("slow", settings.log_level)
    serve(create_app(settings), host=settings.host, port=settings.port, grace_s=settings.grace_s)
