"""The settings that every service has; each adds its own and its prefix.

Log lines as JSON, one object a line on stdout, for everything that the process says.

Answers leave in one piece: uvicorn writes head and body apart, and each write is a system call.

For an answer that comes from the cache those two calls were a third of all the gateway did.

How a service starts as a process of its own: settings from the environment, logging, one uvicorn process.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.chassis.request_id import current_request_id


class ServerSettings(BaseSettings):
    # Without a file of its own: what a process runs with is what its environment says.
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(ge=0, le=65_535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    grace_s: int = Field(30, ge=1, description="seconds that requests in flight get after SIGTERM")
    max_body_bytes: int = Field(25_000_000, ge=1)


def configure_logging(service: str, level: str) -> None:
    """Sends all of the process's logging to stdout as JSON; the servers' own access logs are turned off."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False


class JSONFormatter(logging.Formatter):
    """`time`, `level`, `service`, `logger`, `message`, `request_id`; a record's `fields` are set beside them."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol on a `JoiningTransport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoiningTransport(transport, asyncio.get_running_loop()))  # type: ignore[arg-type]


class JoiningTransport:
    """Keeps what is written until more comes, or until the event loop's next turn; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._transport.writelines([kept, data])
        else:
            self._kept = data
            self._loop.call_soon(self._flush)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self._flush()
        self._transport.writelines(parts)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            if not self._transport.is_closing():
                self._transport.write(kept)


# By this status uvicorn and gunicorn mean "could not start"; on any other, gunicorn starts a worker again, for ever.
_CANNOT_START = 3

S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S]) -> S:
    """The settings in the environment. Raises SystemExit, after a sentence for each bad value on stderr."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        for problem in error.errors():
            name = prefix + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {problem['msg'].removeprefix('Value error, ')}\n")
        raise SystemExit(_CANNOT_START) from None


def serve(app: FastAPI, *, host: str, port: int, grace_s: int) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight for up to `grace_s` seconds."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        http=OneWrite,
        timeout_graceful_shutdown=grace_s,
    )
