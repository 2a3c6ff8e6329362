"""`python -m services.gateway`: the gateway as a process of its own."""

from fastapi import FastAPI

from services.chassis.serve import serve
from services.gateway.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    from services.gateway.app import create_app  # in the worker, which alone needs it

    return create_app(settings)


if __name__ == "__main__":
    serve("gateway", Settings, create_app)
