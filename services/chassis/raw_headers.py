"""Headers as ASGI has them: pairs of bytes. A look at one of them costs less than an object around all."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request's header, None without one. `name` is in small letters, as ASGI's names are."""
    for each, value in scope["headers"]:
        if each == name:
            return bytes(value).decode("latin-1")
    return None
