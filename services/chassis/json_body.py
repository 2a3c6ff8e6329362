"""Reads a JSON body straight into a contract.

A route for endpoints that take the request and give the response.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from imagetext.wire.errors import InvalidParameter
from services.chassis.problems import sentence_of

M = TypeVar("M", bound=BaseModel)

AT_ONCE_BYTES = 256 * 1024  # are read before another thread would have begun to

_NO_OBJECT = "The body must be a JSON object, sent as application/json."


def documented(kind: type[BaseModel]) -> dict[str, object]:
    """The body's documentation; FastAPI would tell it from a parameter, but the body is read by hand."""
    schema = kind.model_json_schema()
    content = {"application/json": {"schema": _without_references(schema, schema.pop("$defs", {}))}}
    return {"requestBody": {"required": True, "content": content}}


def _without_references(part: Any, definitions: dict[str, Any]) -> Any:
    """The schema with what it refers to in its place: references would be looked for in the document around it."""
    match part:
        case {"$ref": str(reference)}:
            beside = {name: value for name, value in part.items() if name != "$ref"}
            return _without_references(definitions[reference.rpartition("/")[2]], definitions) | beside
        case dict():
            return {name: _without_references(value, definitions) for name, value in part.items()}
        case list():
            return [_without_references(value, definitions) for value in part]
    return part


async def read_json(request: Request, kind: type[M]) -> M:
    """The body as a `kind`.

    Raises:
        InvalidParameter: not JSON, not said to be JSON, or not a `kind`.
        HTTPException: 400 for bytes that are no text, or nested too deeply to be read.
    """
    if not _is_json(request.headers.get("Content-Type", "")):
        raise InvalidParameter(_NO_OBJECT)
    body = await request.body()
    if len(body) <= AT_ONCE_BYTES:
        return _parsed(body, kind)
    return await asyncio.to_thread(_parsed, body, kind)  # with pictures in it


def _parsed(body: bytes, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        return _read_slowly(body, kind)


def _is_json(media_type: str) -> bool:
    if media_type == "application/json":
        return True
    message = Message()
    message["Content-Type"] = media_type
    main, sub = message.get_content_maintype(), message.get_content_subtype()
    return main == "application" and (sub == "json" or sub.endswith("+json"))


def _read_slowly(body: bytes, kind: type[M]) -> M:
    """Once more in two steps: they tell what is wrong in more detail, letters that are none above all."""
    try:
        parsed = json.loads(body)
    except json.JSONDecodeError:
        raise InvalidParameter("The body is not valid JSON." if body else _NO_OBJECT) from None
    except (ValueError, RecursionError):  # ValueError: no text, or a number of thousands of digits
        raise HTTPException(400) from None
    try:
        return kind.model_validate(parsed)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None


class PlainRoute(APIRoute):
    """Documented like any other, but called directly: FastAPI has no parameters to fill in and no reply to write.

    Its decorator is that of a router with `route_class=PlainRoute`; the endpoint's only parameter is the request.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app
