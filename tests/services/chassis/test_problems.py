"""Failures of a request, as the caller meets them."""

import httpx
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.types import Message

from imagetext.wire.errors import Unavailable
from services.chassis.problems import ProblemsMiddleware, problem_of


async def _get(client_of, app, path: str) -> httpx.Response:
    async with client_of(app) as client:
        return await client.get(path)


async def _order(client_of, app, content: bytes, content_type: str = "application/json") -> httpx.Response:
    async with client_of(app) as client:
        return await client.post("/orders", content=content, headers={"Content-Type": content_type})


async def test_our_error_becomes_a_problem_document(client_of, app):
    """An ImageTextError is answered with its status, title and sentence, and the request's id."""
    reply = await _get(client_of, app, "/not-a-picture")

    assert reply.status_code == 415
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json() == {
        "type": "about:blank",
        "title": "Not a picture",
        "status": 415,
        "detail": "This is a text.",
        "request_id": reply.headers["X-Request-ID"],
    }


async def test_temporary_error_tells_when_to_come_again(client_of, app):
    """An error with a retry time carries Retry-After."""
    reply = await _get(client_of, app, "/busy")

    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")


async def test_unknown_error_says_nothing_of_itself(client_of, app, caplog):
    """An unexpected exception is a 500 without its text; the log has the traceback."""
    reply = await _get(client_of, app, "/broken")

    assert reply.status_code == 500
    assert reply.json()["title"] == "Internal error"
    assert "hunter2" not in reply.text
    assert "hunter2" in caplog.text


async def test_error_after_the_response_began_cuts_it():
    """A response that fails half way is not continued with a problem document: the server is to cut it."""
    sent: list[Message] = []

    async def broken_late(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the secret is hunter2")

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError):
        await ProblemsMiddleware(broken_late)({"type": "http"}, None, send)

    assert [message["status"] for message in sent] == [200]


async def test_unknown_address_is_a_problem(client_of, app):
    """An address that nobody serves is a 404 problem."""
    reply = await _get(client_of, app, "/nowhere")

    assert (reply.status_code, reply.json()["title"]) == (404, "Not Found")
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_wrong_method_is_a_problem(client_of, app):
    """A method that an address does not take is a 405 problem with Allow."""
    reply = await _get(client_of, app, "/orders")

    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    assert reply.json()["status"] == 405


async def test_other_http_errors_keep_status_sentence_and_headers(client_of, app):
    """An HTTPException of the framework's becomes a problem with its own sentence and headers."""
    reply = await _get(client_of, app, "/teapot")

    assert (reply.status_code, reply.headers["X-Pot"]) == (418, "tea")
    assert reply.json()["detail"] == "short and stout"


async def test_bad_path_parameter_names_it(client_of, app):
    """A path parameter of the wrong type is a 422 that names the parameter."""
    reply = await _get(client_of, app, "/items/seven")

    assert reply.status_code == 422
    assert "`item`" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"amount": 10}', "Field `amount`: input should be less than or equal to 9."),
        (b"{}", "Field `amount` is missing."),
        (b'{"amount": 1, "colour": "red"}', "There is no field `colour`."),
        (b"{", "The body is not valid JSON: expecting property name enclosed in double quotes."),
        (b"[]", "The body must be a JSON object, sent as application/json."),
        (b"", "The body must be a JSON object, sent as application/json."),
        (b'{"amount": 1, "\\ud800": 1}', "The body holds text that is not Unicode."),
    ],
)
async def test_bad_body_names_the_field(client_of, app, content, sentence):
    """A body that does not fit is a 422 with a sentence about the field at fault."""
    reply = await _order(client_of, app, content)

    assert reply.status_code == 422
    assert reply.json()["detail"] == sentence


async def test_json_sent_as_something_else_is_told_apart(client_of, app):
    """A JSON body under another content type is a 422 that names the right one."""
    reply = await _order(client_of, app, b'{"amount": 1}', "text/plain")

    assert reply.status_code == 422
    assert "application/json" in reply.json()["detail"]


@pytest.mark.parametrize("content", [b'{"amount": "\xff"}', b"[" * 500, b'{"amount": ' + b"9" * 900 + b"}"])
async def test_unreadable_body_is_the_callers_fault(client_of, app, content):
    """Bytes that are no UTF-8, absurd nesting and absurd numbers are 4xx, never 500."""
    reply = await _order(client_of, app, content)

    assert reply.status_code in (400, 422)
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_many_wrong_fields_earn_few_sentences(client_of, app):
    """The detail of a body with eighty unknown fields stays short and counts the rest."""
    fields = ", ".join(f'"f{number}": 1' for number in range(80))
    reply = await _order(client_of, app, f'{{"amount": 1, {fields}}}'.encode())

    assert reply.status_code == 422
    assert reply.json()["detail"].endswith("There are 75 more.")


def test_a_callers_own_long_name_is_cut():
    """A field name of any length that the caller made up does not come back whole."""
    error = RequestValidationError([{"type": "extra_forbidden", "loc": ("body", "x" * 10_000), "msg": "no"}])

    assert len(problem_of(error, None).detail) < 100


def test_problem_of_carries_the_given_id():
    """A problem can be made outside a request, with any id."""
    problem = problem_of(Unavailable("Later."), "abc")

    assert (problem.status, problem.detail, problem.request_id) == (503, "Later.", "abc")


def test_a_validators_own_words_are_kept_without_pydantics_prefix():
    """The sentence of a custom validator is shown as it was written."""
    error = RequestValidationError([{"type": "value_error", "loc": ("body", "k"), "msg": "Value error, too odd"}])

    assert problem_of(error, None).detail == "Field `k`: too odd."


def test_half_a_surrogate_pair_does_not_break_the_answer():
    """A sentence that quotes what UTF-8 cannot hold is still a printable problem."""
    error = RequestValidationError([{"type": "extra_forbidden", "loc": ("body", "\ud800"), "msg": "no"}])

    assert problem_of(error, None).detail == "There is no field `?`."
