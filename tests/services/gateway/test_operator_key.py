"""Everybody may see the versions of the index; only who knows the operator's key may switch between them."""

import httpx
import pytest

from services.gateway.settings import Settings

KEY = "a long key, with ümlaut"
OLD, NEW = "20260101T000000Z-000001", "20260102T000000Z-000002"
PUBLISH = {"json": {"version": OLD}}


def bearer(key: str = KEY, scheme: str = "Bearer") -> dict[str, dict[str, bytes]]:
    return {"headers": {"Authorization": f"{scheme} {key}".encode()}}


def says(reply: httpx.Response, status: int, *words: str) -> bool:
    is_problem = reply.headers["Content-Type"] == "application/problem+json"
    return is_problem and reply.status_code == status and all(word in reply.json()["detail"] for word in words)


@pytest.fixture
async def client(door, ready_client):
    door.settings["operator_key"] = KEY
    async with ready_client(door) as client:
        yield client


async def test_everybody_sees_the_versions(client):
    """The list, the skipped files and the build come through as the service gives them, and no cache keeps them."""
    listed = await client.get("/v1/index/versions")
    skipped = await client.get(f"/v1/index/versions/{OLD}/skipped", params={"offset": 1, "limit": 1})
    build = await client.get("/v1/index/build")

    assert (listed.json()["current"], listed.json()["previous"]) == (NEW, OLD)
    assert [each["version"] for each in listed.json()["versions"]] == [NEW, OLD]
    assert skipped.json()["skipped"] == [{"path": "b.png", "reason": "The file is empty."}]
    assert build.json()["running"]["stage"] == "encoding"
    assert {reply.headers["Cache-Control"] for reply in (listed, skipped, build)} == {"no-store"}


@pytest.mark.parametrize("path", ["publish", "rollback"])
async def test_without_the_key_nothing_changes(client, door, path):
    """A missing or wrong key is a 401 that says how to send it, whatever the body."""
    sent = [{}, bearer("wrong"), bearer(KEY[:-1]), bearer(KEY + "x"), bearer(KEY, "Basic"), bearer("")]
    replies = [await client.post(f"/v1/index/{path}", **PUBLISH, **each) for each in sent]
    replies.append(await client.post(f"/v1/index/{path}", content=b"{"))

    assert all(says(reply, 401, "Authorization: Bearer KEY") for reply in replies)
    assert {reply.headers["WWW-Authenticate"] for reply in replies} == {"Bearer"}
    assert door.retrieval.published == []


async def test_with_the_key_a_version_is_published(client, door):
    """By its name; the name of the scheme may be in any letters."""
    replies = [await client.post("/v1/index/publish", **PUBLISH, **bearer(KEY, each)) for each in ("Bearer", "bearer")]

    assert [(reply.status_code, reply.json()) for reply in replies] == [(200, {"version": OLD, "before": NEW})] * 2
    assert door.retrieval.published == [OLD, OLD]


async def test_a_rollback_is_sent_as_the_version_that_it_means(client, door):
    """So that a request which has to be sent again does not go back twice."""
    door.network.breaking["10.0.0.2:8002"] = 1
    reply = await client.post("/v1/index/rollback", **bearer())

    assert (reply.status_code, reply.json()["version"]) == (200, OLD)
    assert door.retrieval.published == [OLD]


async def test_there_may_be_nothing_to_go_back_to(client, door):
    """Then nothing is asked of the service."""
    door.retrieval.previous = None

    assert says(await client.post("/v1/index/rollback", **bearer()), 404, "no version before")
    assert door.retrieval.published == []


async def test_a_refusal_keeps_its_reason(client, door):
    """What the service says of a damaged version reaches the operator."""
    door.retrieval.refuses = "vectors.npy of index version 1 is damaged."

    assert says(await client.post("/v1/index/publish", **PUBLISH, **bearer()), 409, "vectors.npy")


@pytest.mark.parametrize("version", ["", "..", "v1", OLD + "x", OLD + "/../.."])
async def test_what_is_no_version_goes_no_further(client, door, version):
    """Not into a path, and not into a body."""
    seen = await client.get(f"/v1/index/versions/{version}/skipped")
    published = await client.post("/v1/index/publish", json={"version": version}, **bearer())

    assert seen.status_code in (404, 422) and published.status_code == 422
    assert door.retrieval.published == []


async def test_without_a_key_in_the_settings_nobody_may(door, ready_client):
    """403 says how to allow it, whatever key is sent; seeing stays allowed."""
    async with ready_client(door) as client:
        replies = [
            await client.post(f"/v1/index/{path}", **PUBLISH, **each)
            for path in ("publish", "rollback")
            for each in ({}, bearer(), bearer("None"), bearer(""))
        ]
        listed = await client.get("/v1/index/versions")

    assert all(says(reply, 403, "GATEWAY_OPERATOR_KEY") for reply in replies)
    assert listed.status_code == 200


def test_the_key_is_not_shown():
    """Not where settings are printed; a variable without a value is none."""
    assert KEY not in repr(Settings(operator_key=KEY))


def test_an_empty_variable_is_no_key(monkeypatch):
    """As Compose sets it when nothing is set."""
    monkeypatch.setenv("GATEWAY_OPERATOR_KEY", "")

    assert Settings().operator_key is None
