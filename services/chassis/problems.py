"""Every failed request is answered here, with an RFC 9457 problem document."""

import logging
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagetext.wire.contracts import Problem
from imagetext.wire.errors import ImageTextError, InvalidParameter, Unauthorized
from services.chassis.observing import current_request_id

MEDIA_TYPE = "application/problem+json"
NOT_JSON = "The body must be a JSON object, sent as application/json."

_MAX_SENTENCES = 5  # however many fields are wrong
_MAX_NAME = 60  # characters of a field name, which the caller chose

Contract = TypeVar("Contract", bound=BaseModel)

log = logging.getLogger(__name__)


class ProblemsMiddleware:
    """Answers exceptions that no handler caught; once a response has begun, the server closes its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _explaining_failed_starts(send))
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            log.debug("the client went away")
        except Exception as error:
            if started:
                raise
            await problem_response(error)(scope, receive, send)


def _explaining_failed_starts(send: Send) -> Send:
    """The server logs the sentence of an ImageTextError instead of its traceback."""

    async def explained_send(message: Message) -> None:
        error = sys.exception()  # Starlette sends this message while it handles the exception
        if message["type"] == "lifespan.startup.failed" and isinstance(error, ImageTextError):
            message = {**message, "message": error.detail}
        await send(message)

    return explained_send


def add_problem_handlers(app: FastAPI) -> None:
    """Replaces FastAPI's own error answers."""
    for kind in (ImageTextError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)


async def _answer(_: Request, error: Exception) -> Response:
    return problem_response(error)


def problem_response(error: Exception) -> Response:
    """The answer to `error`."""
    problem = report_problem(error)
    return Response(problem.model_dump_json(), problem.status, _headers(error), MEDIA_TYPE)


def report_problem(error: Exception) -> Problem:
    """`error` as a problem of the current request; a 500 is logged with its traceback."""
    problem = problem_of(error, current_request_id())
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a request failed", exc_info=error)
    return problem


def problem_of(error: Exception, request_id: str | None) -> Problem:
    """`error` as a problem; an unexpected exception becomes a 500 that reveals nothing about it."""
    match error:
        case ImageTextError():
            title, status, detail = error.title, error.status, error.detail
        case RequestValidationError():
            title, status, detail = InvalidParameter.title, InvalidParameter.status, sentence_of(error.errors())
        case HTTPException():
            title, status, detail = HTTPStatus(error.status_code).phrase, error.status_code, _http_sentence(error)
        case _:
            title, status = ImageTextError.title, ImageTextError.status
            detail = "Something went wrong on our side; the request id finds it in the log."
    # A field name may hold half a surrogate pair, which UTF-8 cannot encode.
    printable = detail.encode("utf-8", "replace").decode("utf-8")
    return Problem(title=title, status=status, detail=printable, request_id=request_id)


def checked(kind: type[Contract], fields: object) -> Contract:
    """`fields` as a `kind`. Raises InvalidParameter with a sentence for each bad field."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors())) from None


def checked_json(kind: type[Contract], body: bytes) -> Contract:
    """JSON as a `kind`. Raises InvalidParameter with a sentence for each bad field."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InvalidParameter(sentence_of(error.errors()) if body else NOT_JSON) from None


def sentence_of(errors: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, as sentences that name the field."""
    sentences = [_field_sentence(error) for error in errors[:_MAX_SENTENCES]]
    if len(errors) > _MAX_SENTENCES:
        sentences.append(f"There are {len(errors) - _MAX_SENTENCES} more.")
    return " ".join(sentences)


def _field_sentence(error: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))[:_MAX_NAME]
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        reason = str(error.get("ctx", {}).get("error", "it cannot be parsed"))
        return f"The body is not valid JSON: {reason[:1].lower()}{reason[1:]}."
    if kind == "string_unicode":
        return f"Field `{name}` is not Unicode." if name else "The body holds text that is not Unicode."
    if not name:
        return NOT_JSON
    if kind == "extra_forbidden":
        return f"There is no field `{name}`."
    if kind == "missing":
        return f"Field `{name}` is missing."
    return f"Field `{name}`: {message[:1].lower()}{message[1:].rstrip('.')}."


def _http_sentence(error: HTTPException) -> str:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return "Nothing is served at this address."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "This address does not take this method."
        case HTTPStatus.BAD_REQUEST:
            return "The body of the request cannot be read."
        case _:
            return error.detail


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, ImageTextError) and error.retry_after is not None:
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, HTTPException):
        return dict(error.headers or {})
    return {}
