"""`python -m services.caption`: the caption service as a process of its own."""

from fastapi import FastAPI

from services.caption.settings import Settings
from services.chassis.serve import serve


def create_app(settings: Settings) -> FastAPI:
    from services.caption.app import create_app  # in the worker: a process with the engines' threads cannot be forked

    return create_app(settings)


if __name__ == "__main__":
    serve("caption", Settings, create_app)
