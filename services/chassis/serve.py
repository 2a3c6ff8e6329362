"""How a service starts as a process of its own: settings from the environment, logging, one uvicorn process."""

import sys
from typing import TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from services.chassis.one_write import OneWrite

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
