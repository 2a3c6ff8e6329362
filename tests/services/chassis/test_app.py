"""How the pieces are put together."""


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
