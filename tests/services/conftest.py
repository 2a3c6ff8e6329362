"""Runs a service's application in this process: called directly, or behind a real server and socket."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from tests.patience import PATIENCE, until
from tests.timeless import loop_factories


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, type[asyncio.AbstractEventLoop]]:
    return loop_factories(item)


ClientOf = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def _client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app) as state:

        async def app_with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(app_with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


@pytest.fixture
def client_of() -> ClientOf:
    """client_of(app) -> a client that calls the application, while its lifespan is open."""
    return _client_of


async def _queue_of(client: httpx.AsyncClient, count: int) -> None:
    async def waits() -> bool:
        return f"model_queue_items {count}.0" in (await client.get("/metrics")).text

    await until(waits)


@pytest.fixture
def queue_of() -> Callable[[httpx.AsyncClient, int], Awaitable[None]]:
    """queue_of(client, count) waits until so many items wait for the service's model."""
    return _queue_of


@asynccontextmanager
async def _port_of(app: FastAPI) -> AsyncIterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        await until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, PATIENCE)


@pytest.fixture
def port_of() -> Callable[[FastAPI], AbstractAsyncContextManager[int]]:
    """port_of(app) -> the port of a real server in a thread of its own."""
    return _port_of
