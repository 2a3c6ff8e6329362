"""Start, models, readiness and documentation of the retrieval service."""

import pytest

from imagetext.wire.errors import ModelError
from services.retrieval.app import create_app
from services.retrieval.settings import Settings


async def test_model_is_listed(client_of, app):
    """The loaded encoder is listed with its fingerprint."""
    async with client_of(app) as client:
        models = (await client.get("/v1/models")).json()["models"]

    assert models == [
        {
            "name": "colours",
            "kind": "encoder",
            "fingerprint": "colours-1",
            "parameters": 9,
            "default": True,
            "networks": {},
        }
    ]


async def test_model_is_warm_before_the_service_is_ready(client_of, app, encoder):
    """By the time requests come in, a text and a picture have been encoded."""
    built = len(encoder.batches)
    async with client_of(app) as client:
        assert (await client.get("/health/ready")).status_code == 200

        assert len(encoder.batches) == built + 2


async def test_model_that_cannot_be_loaded_stops_the_start(client_of):
    """A missing model folder is an error at the start, not at the first request."""

    def fail(source: str) -> None:
        raise ModelError(f"{source} has no readable config.json.")

    with pytest.raises(ModelError, match="nowhere"):
        async with client_of(create_app(Settings(model="nowhere"), load=fail)):
            pass


async def test_index_is_measured(client_of, app):
    """The metrics page has the size of the index and the batches of the model."""
    async with client_of(app) as client:
        page = (await client.get("/metrics")).text

    assert "index_pictures 4.0" in page
    assert "index_opens_total 1.0" in page
    assert "model_batch_items_count 2.0" in page


async def test_openapi_documents_upload_and_pictures(client_of, app):
    """The documentation has the form of an upload and the type of a picture."""
    async with client_of(app) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    form = paths["/v1/search/image"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]

    names = {"image", "text", "like", "filter", "hybrid", "k", "offset", "min_relevance", "collapse_duplicates"}
    assert set(form["properties"]) == names
    assert "image/*" in paths["/v1/images/{id}"]["get"]["responses"]["200"]["content"]
