"""How every service runs as a process: settings from the environment, JSON logging, and gunicorn with one worker.

Containers, `make run` and the tests all start a service in the same way, with `python -m services.NAME`.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import ASGIApp
from uvicorn_worker import UvicornWorker

from imagetext.wire.errors import ImageTextError
from services.chassis.observing import current_request_id

_CANNOT_START = 3  # gunicorn takes any other status for a crash, and starts another worker
_WORKER_TIMEOUT_S = 120  # a worker whose event loop is blocked for so long is replaced
_HEARTBEAT_S = 1.0
_SHUTDOWN_S = 3  # after the grace period, to close models, indexes and connections
_KEEP_ALIVE_S = 5  # of an idle connection; the gateway keeps those to the services for less
_SHARED_MEMORY = Path("/dev/shm")

log = logging.getLogger(__name__)


class ServerSettings(BaseSettings):
    """The settings that every service has; each adds its own and its prefix."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(ge=0, le=65_535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    grace_s: int = Field(30, ge=1, description="seconds that requests in flight get after SIGTERM")
    max_body_bytes: int = Field(25_000_000, ge=1)


Settings = TypeVar("Settings", bound=ServerSettings)


def serve(service: str, kind: type[Settings], create_app: Callable[[Settings], ASGIApp]) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the requests in flight for up to `grace_s` seconds.

    Args:
        service: its name in the log.
        kind: its settings, which are read from the environment.
        create_app: called in the worker, which is where a service's libraries should be imported.

    Raises:
        SystemExit: always; status 3 if the service could not start.
    """
    settings = read_settings(kind)
    configure_logging(service, settings.log_level)
    _Gunicorn(settings, lambda: create_app(settings)).run()


def read_settings(kind: type[Settings]) -> Settings:
    """The settings in the environment. Raises SystemExit, after a sentence for each bad value on stderr."""
    try:
        return kind()  # type: ignore[call-arg]  # the environment has them
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        for problem in error.errors():
            name = prefix + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {problem['msg'].removeprefix('Value error, ')}\n")
        raise SystemExit(_CANNOT_START) from None


def configure_logging(service: str, level: str) -> None:
    """Sends all of the process's logging to stdout as JSON, the servers' own included; their access logs are off."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False


class JSONFormatter(logging.Formatter):
    """`time`, `level`, `service`, `logger`, `message` and `request_id`, then the record's `fields`."""

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


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by our settings alone: no configuration file, no command line."""

    def __init__(self, settings: ServerSettings, create_app: Callable[[], ASGIApp]) -> None:
        self._settings = settings
        self._create_app = create_app
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": 1,  # a model and its batches are in one process; more replicas are more containers
            "worker_class": _Worker,
            "logger_class": _InheritedLogging,
            "loglevel": self._settings.log_level,
            "graceful_timeout": self._settings.grace_s + _SHUTDOWN_S,
            "keepalive": _KEEP_ALIVE_S,
            "timeout": _WORKER_TIMEOUT_S,
            "worker_tmp_dir": str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> ASGIApp:
        """In the worker."""
        try:
            return self._create_app()
        except ImageTextError as error:
            log.critical(error.detail)
            raise SystemExit(_CANNOT_START) from None


class _InheritedLogging(Logger):  # type: ignore[misc]
    """Leaves logging as `configure_logging` has set it up."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True


class _Worker(UvicornWorker):  # type: ignore[misc]
    """uvicorn in a gunicorn worker, with what it is not told by gunicorn's configuration."""

    CONFIG_KWARGS = UvicornWorker.CONFIG_KWARGS | {"lifespan": "on", "access_log": False, "server_header": False}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        logging.getLogger("uvicorn.error").propagate = True
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - _SHUTDOWN_S

    async def _serve(self) -> None:
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            await super()._serve()
        finally:
            heartbeat.cancel()

    async def _heartbeat(self) -> None:
        """From the start, which takes minutes where a model is exported; uvicorn begins only after it.

        A worker whose master was killed ends, too.
        """
        while os.getppid() == self.ppid:
            self.notify()
            await asyncio.sleep(_HEARTBEAT_S)
        os.kill(os.getpid(), signal.SIGTERM)
