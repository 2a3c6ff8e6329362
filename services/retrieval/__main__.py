"""`python -m services.retrieval`: the retrieval service as a process of its own."""

from fastapi import FastAPI

from services.chassis.serve import serve
from services.retrieval.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    from services.retrieval.app import create_app  # in the worker: a process with the engines' threads cannot be forked

    return create_app(settings)


if __name__ == "__main__":
    serve("retrieval", Settings, create_app)
