"""JSON bodies that an endpoint reads by hand are judged as those that FastAPI reads."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel

from imagetext.wire.contracts import SearchRequest
from services.chassis.app import create_app
from services.chassis.json_body import PlainRoute, documented, read_json
from tests.services.chassis.conftest import Order


class Basket(BaseModel):
    orders: list[Order]


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    yield {}


@pytest.fixture
def shop_by_hand() -> FastAPI:
    """Takes orders at two addresses: the one is read by hand, the other by FastAPI."""
    plain_router, router = APIRouter(route_class=PlainRoute), APIRouter()

    @plain_router.post("/orders", response_model=Order, openapi_extra=documented(Order))
    async def order(request: Request) -> Response:
        return Response((await read_json(request, Order)).model_dump_json())

    @router.post("/fastapi")
    async def fastapi(order: Order) -> Order:
        return order

    routers = [plain_router, router]
    return create_app("shop", lifespan=_nothing, ready=dict, max_body_bytes=100_000, routers=routers)


async def test_a_body_is_read(client_of, shop_by_hand):
    """JSON becomes the contract, whatever encoding and media type of JSON it is sent in."""
    async with client_of(shop_by_hand) as client:
        replies = [
            await client.post("/orders", json={"amount": 3}),
            await client.post("/orders", content=b'{"amount":3}', headers={"Content-Type": "application/x+json"}),
            await client.post(
                "/orders", content='{"amount":3}'.encode("utf-16"), headers={"Content-Type": "application/json; a=b"}
            ),
        ]

    assert [reply.text for reply in replies] == ['{"amount":3}'] * 3


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
    b'{"amount": "\\ud800"}',
    b"\xff\xfe\xfd",
    b"[" * 100_000,
    b'{"amount": ' + b"1" * 5_000 + b"}",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:30]))
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", None])
async def test_what_is_wrong_is_said_as_fastapi_says_it(client_of, shop_by_hand, body, media_type):
    """Status and sentence are those of an endpoint whose body FastAPI reads."""
    headers = {"Content-Type": media_type} if media_type else {}
    async with client_of(shop_by_hand) as client:
        by_hand = await client.post("/orders", content=body, headers=headers)
        by_fastapi = await client.post("/fastapi", content=body, headers=headers)

    assert by_hand.status_code >= 400
    assert by_hand.status_code == by_fastapi.status_code
    assert by_hand.json()["detail"] == by_fastapi.json()["detail"]


async def test_a_plain_route_is_documented(client_of, shop_by_hand):
    """The document has body, reply and problems of an endpoint that is called directly."""
    async with client_of(shop_by_hand) as client:
        operation = (await client.get("/openapi.json")).json()["paths"]["/orders"]["post"]

    assert "amount" in operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Order")
    assert "application/problem+json" in operation["responses"]["default"]["content"]


async def test_a_plain_route_has_its_methods_and_its_metrics(client_of, shop_by_hand):
    """Another method is a 405, and requests are counted under the route."""
    async with client_of(shop_by_hand) as client:
        assert (await client.get("/orders")).status_code == 405
        await client.post("/orders", json={"amount": 3})
        page = (await client.get("/metrics")).text

    assert 'http_requests_total{route="/orders",status="200"} 1.0' in page


def test_nested_contracts_are_documented_in_their_place():
    """A reference into the contract's own schema would lead nowhere in the document around it."""
    schema = documented(SearchRequest)["requestBody"]["content"]["application/json"]["schema"]
    [filter, _] = schema["properties"]["filter"]["anyOf"]

    assert "$ref" not in str(schema) and "$defs" not in schema
    assert filter["properties"]["taken"]["anyOf"][0]["properties"].keys() == {"from", "to"}
    assert schema["properties"]["filter"]["description"]


def test_what_a_contract_is_made_of_is_documented_in_place():
    """A contract inside another stands where it belongs: a reference would point to nothing in the whole document."""
    body = documented(Basket)["requestBody"]["content"]["application/json"]["schema"]

    assert body["properties"]["orders"]["items"]["properties"].keys() == Order.model_fields.keys()
    assert "$" not in json.dumps(body)
