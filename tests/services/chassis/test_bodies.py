"""Reading request bodies: forms with pictures, and JSON."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel

from imagetext.wire.search import SearchRequest
from services.chassis.app import DirectRoute, create_app
from services.chassis.bodies import documented_json, read_json
from services.chassis.picture_requests import decode_base64_picture
from tests.services.chassis.conftest import Order


async def _upload(client_of, app, **form) -> tuple[int, dict[str, object]]:
    async with client_of(app) as client:
        reply = await client.post("/upload", **form)
        return reply.status_code, reply.json()


async def test_pictures_and_options_are_told_apart(client_of, app):
    """Files in `image` are pictures, in order; text fields are options."""
    files = [("image", ("a", b"first")), ("image", ("b", b"second"))]

    assert await _upload(client_of, app, files=files, data={"k": "3"}) == (
        200,
        {"pictures": ["first", "second"], "options": {"k": "3"}},
    )


async def test_content_type_may_be_written_in_capitals(client_of, app):
    """Media types know no case."""
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nfirst\r\n--x--\r\n'
    status, reply = await _upload(
        client_of, app, content=body, headers={"Content-Type": "Multipart/Form-Data; boundary=x"}
    )

    assert (status, reply["pictures"]) == (200, ["first"])


@pytest.mark.parametrize(
    "form",
    [
        {"content": b"hello"},
        {"json": {"image": "x"}},
        {"data": {"k": "1"}, "files": {"other": ("a", b"x")}},
        {"files": [("image", ("a", b"x"))] * 3},
        {"files": [("image", ("a", b""))] * 4},
        {"files": [("image", (None, b"text"))]},
        {"files": [("image", ("a", b"x"))], "data": {"k": ["1", "2"]}},
    ],
)
async def test_forms_that_do_not_fit_are_refused(client_of, app, form):
    """Other bodies, other fields, too many pictures and doubled options are a 422."""
    status, reply = await _upload(client_of, app, **form)

    assert (status, reply["title"]) == (422, "Invalid parameter")


async def test_pictures_arrive_as_they_were_sent(client_of, app):
    """A picture that holds the boundary's beginning and comes in pieces of any length is whole."""
    picture = b"\r\n--" + b"--x\r\n-\r" * 50
    head = b'--xyz\r\ncontent-DISPOSITION: form-data; name="image"; filename="a"\r\nX-Other: 1\r\n\r\n'
    body = head + picture + b"\r\n--xyz--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
    for length in (1, 7, 64):

        async def pieces(length: int = length) -> AsyncIterator[bytes]:
            for start in range(0, len(body), length):
                yield body[start : start + length]

        assert await _upload(client_of, app, content=pieces(), headers=headers) == (
            200,
            {"pictures": [picture.decode()], "options": {}},
        )


@pytest.mark.parametrize(
    "disposition", [b'form-data; filename="a"', b"form-data", b"", b'form-data; name="k"\r\nContent-Length: 5']
)
async def test_damaged_parts_are_refused(client_of, app, disposition):
    """A part without a name, and a form without a picture, are a 422."""
    part = b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n1\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert (await _upload(client_of, app, content=part, headers=headers))[0] == 422


async def test_text_that_is_no_utf8_is_read(client_of, app):
    """Old browsers send options in Latin-1."""
    files = [("image", ("a", b"x")), ("note", (None, "é".encode("latin-1")))]
    status, reply = await _upload(client_of, app, files=files)

    assert (status, reply["options"]) == (200, {"note": "é"})


async def test_text_in_the_place_of_a_file_is_told(client_of, app):
    """A form that sends `image` as text, as a script without a file name does, is told so."""
    _, reply = await _upload(client_of, app, files=[("image", (None, b"bytes"))])

    assert reply["detail"] == "Field `image` must be a file, with a file name."


async def test_reading_stops_at_one_picture_too_many(client_of, app):
    """A form of many more pictures than are taken is given up while it is read, not collected first."""
    _, one_more = await _upload(client_of, app, files=[("image", ("a", b"x"))] * 3)
    _, many_more = await _upload(client_of, app, files=[("image", ("a", b"x"))] * 4)

    assert one_more["detail"] == "Send 1 to 2 pictures in the field `image`."
    assert many_more["detail"].startswith("The form cannot be read")


def test_base64_may_be_broken_into_lines():
    """What `base64` prints can be pasted as it is."""
    assert decode_base64_picture("aGVs\nbG8=\n") == b"hello"


class Basket(BaseModel):
    orders: list[Order]


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    yield {}


@pytest.fixture
def shop_by_hand() -> FastAPI:
    """Takes orders at two addresses: one endpoint reads the body itself, for the other FastAPI does."""
    direct_router, router = APIRouter(route_class=DirectRoute), APIRouter()

    @direct_router.post("/orders", response_model=Order, openapi_extra=documented_json(Order))
    async def order(request: Request) -> Response:
        return Response((await read_json(request, Order)).model_dump_json())

    @router.post("/fastapi")
    async def fastapi(order: Order) -> Order:
        return order

    return create_app("shop", lifespan=_nothing, ready=dict, max_body_bytes=1_000_000, routers=[direct_router, router])


@pytest.mark.parametrize("media_type", ["application/json", "application/x+json", "application/json; a=b"])
async def test_json_is_read(client_of, shop_by_hand, media_type):
    """JSON becomes the contract under any media type of JSON."""
    async with client_of(shop_by_hand) as client:
        reply = await client.post("/orders", content=b'{"amount":3}', headers={"Content-Type": media_type})

    assert reply.text == '{"amount":3}'


async def test_large_json_is_read(client_of, shop_by_hand):
    """A body that is parsed off the event loop is judged like any other."""
    async with client_of(shop_by_hand) as client:
        good = await client.post("/orders", content=b'{"amount":3' + b" " * 300_000 + b"}", headers=JSON)
        bad = await client.post("/orders", content=b'{"amount":10' + b" " * 300_000 + b"}", headers=JSON)

    assert (good.status_code, bad.status_code) == (200, 422)
    assert bad.json()["detail"] == "Field `amount`: input should be less than or equal to 9."


JSON = {"Content-Type": "application/json"}
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"three",
    b'"three"',
    b"{}",
    b'{"amount": 10}',
    b'{"amount": "many"}',
    b'{"amount": null}',
    b'{"amount": 3, "colour": "red"}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:30]))
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", None])
async def test_bad_json_is_answered_as_fastapi_answers_it(client_of, shop_by_hand, body, media_type):
    """Status and sentence are those of an endpoint whose body FastAPI reads."""
    headers = {"Content-Type": media_type} if media_type else {}
    async with client_of(shop_by_hand) as client:
        by_hand = await client.post("/orders", content=body, headers=headers)
        by_fastapi = await client.post("/fastapi", content=body, headers=headers)

    assert by_hand.status_code == by_fastapi.status_code == 422
    ours, fastapis = (reply.json()["detail"] for reply in (by_hand, by_fastapi))
    not_json = "The body is not valid JSON: "  # what follows is the parser's own reason
    assert ours == fastapis or (ours.startswith(not_json) and fastapis.startswith(not_json))


UNREADABLE = [
    b'{"amount": "\\ud800"}',
    b"\xff\xfe\xfd",
    '{"amount":3}'.encode("utf-16"),
    b"[" * 100_000,
    b'{"amount": ' + b"1" * 5_000 + b"}",
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:30]))
async def test_unreadable_json_is_the_callers_fault(client_of, shop_by_hand, body):
    """Half a surrogate pair, other encodings than UTF-8, absurd nesting and absurd numbers are a 422 problem."""
    async with client_of(shop_by_hand) as client:
        reply = await client.post("/orders", content=body, headers=JSON)

    assert (reply.status_code, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert reply.json()["detail"].startswith(("The body is not valid JSON: ", "Field `amount`: "))


async def test_a_direct_route_has_its_methods_and_its_metrics(client_of, shop_by_hand):
    """Another method is a 405, and requests are counted under the route."""
    async with client_of(shop_by_hand) as client:
        assert (await client.get("/orders")).status_code == 405
        await client.post("/orders", json={"amount": 3})
        page = (await client.get("/metrics")).text

    assert 'http_requests_total{route="/orders",status="200"} 1.0' in page


async def test_a_direct_route_is_documented(client_of, shop_by_hand):
    """The OpenAPI document has the body, the reply and the problems of an endpoint that is called directly."""
    async with client_of(shop_by_hand) as client:
        operation = (await client.get("/openapi.json")).json()["paths"]["/orders"]["post"]

    assert "amount" in operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Order")
    assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_nested_contracts_are_documented_in_their_place():
    """A reference into the contract's own schema would lead nowhere in the document around it."""
    schema = documented_json(SearchRequest)["requestBody"]["content"]["application/json"]["schema"]
    [filter, _] = schema["properties"]["filter"]["anyOf"]

    assert "$ref" not in str(schema) and "$defs" not in schema
    assert filter["properties"]["taken"]["anyOf"][0]["properties"].keys() == {"from", "to"}
    assert schema["properties"]["filter"]["description"]


def test_what_a_contract_is_made_of_is_documented_in_place():
    """A contract inside another stands where it belongs: a reference would point to nothing in the whole document."""
    body = documented_json(Basket)["requestBody"]["content"]["application/json"]["schema"]

    assert body["properties"]["orders"]["items"]["properties"].keys() == Order.model_fields.keys()
    assert "$" not in json.dumps(body)
