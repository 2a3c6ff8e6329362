"""What every service's application has: the lifespan's state, documentation, health."""


async def test_lifespan_state_reaches_requests(client_of, app, shop):
    """What the lifespan yields is the request's state, and the lifespan closes at the end."""
    async with client_of(app) as client:
        assert (await client.get("/shop")).text == "open"

    assert not shop.open


async def test_openapi_documents_problems(client_of, app):
    """Every operation documents the problem document, and FastAPI's own error schema is gone."""
    async with client_of(app) as client:
        document = (await client.get("/openapi.json")).json()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]

    assert document["info"]["title"] == "imagetext shop"
    assert all("application/problem+json" in each["responses"]["default"]["content"] for each in operations)
    assert "HTTPValidationError" not in document.get("components", {}).get("schemas", {})


async def test_no_page_needs_the_internet(client_of, app):
    """The framework's documentation pages, which load scripts from elsewhere, are off."""
    async with client_of(app) as client:
        assert (await client.get("/docs")).status_code == 404
        assert (await client.get("/redoc")).status_code == 404


async def test_live_whatever_is_missing(client_of, app, shop):
    """The process is live even when it is not ready."""
    shop.missing = {"model": "The model is not loaded."}
    async with client_of(app) as client:
        reply = await client.get("/health/live")

    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "parts": {}})


async def test_ready_when_nothing_is_missing(client_of, app):
    """A service with all its parts is ready."""
    async with client_of(app) as client:
        reply = await client.get("/health/ready")

    assert (reply.status_code, reply.json()["status"]) == (200, "ok")


async def test_not_ready_says_which_part_and_why(client_of, app, shop):
    """A missing part makes it 503 with a sentence, and Retry-After; it is ready again when the part is back."""
    shop.missing = {"index": "There is no index yet."}
    async with client_of(app) as client:
        missing = await client.get("/health/ready")
        shop.missing = {}
        back = await client.get("/health/ready")

    assert missing.status_code == 503
    assert missing.json() == {"status": "unavailable", "parts": {"index": "There is no index yet."}}
    assert int(missing.headers["Retry-After"]) > 0
    assert back.status_code == 200
