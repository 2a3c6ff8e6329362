"""Start, models, readiness and documentation of the caption service."""

import pytest

from imagetext.engines import Loaded
from imagetext.wire.errors import ModelError
from services.caption.app import create_app
from services.caption.settings import Settings


async def test_models_are_listed(client_of, app):
    """Every loaded captioner is listed, the first as the default."""
    async with client_of(app) as client:
        models = (await client.get("/v1/models")).json()["models"]

    assert [(model["name"], model["default"]) for model in models] == [("gru", True), ("vit", False)]
    assert {model["kind"] for model in models} == {"captioner"}


async def test_networks_are_described_where_models_are_listed(client_of, app, captioners, picture):
    """With engine, milliseconds and what was refused; a reply names its model without them."""
    refused = {"openvino-bf16": "off by 0.1, at most 0.01 is allowed"}
    captioners["gru"].engines = {
        "encoder": Loaded(lambda *given: given, "onnxruntime", {1: 0.0123456, 4: 0.04}, refused),
        "decoder-step": Loaded(lambda *given: given, "torch"),
    }
    async with client_of(app) as client:
        gru, vit = (await client.get("/v1/models")).json()["models"]
        reply = await client.post("/v1/captions", files={"image": ("a.png", picture("red"))})

    assert gru["networks"] == {
        "encoder": {"engine": "onnxruntime", "milliseconds": 12.346, "refused": refused},
        "decoder-step": {"engine": "torch", "milliseconds": None, "refused": {}},
    }
    assert vit["networks"] == {}
    assert reply.json()["model"] == {key: value for key, value in gru.items() if key != "networks"}


async def test_every_model_is_warmed_up_before_the_service_is_ready(client_of, app, captioners):
    """By the time requests come in, each captioner has run once."""
    async with client_of(app) as client:
        assert (await client.get("/health/ready")).status_code == 200

        assert [len(captioner.batches) for captioner in captioners.values()] == [1, 1]


async def test_model_that_cannot_be_loaded_stops_the_start(client_of):
    """A missing model folder is an error at the start, not at the first request."""

    def fail(source: str) -> None:
        raise ModelError(f"{source} has no readable config.json.")

    with pytest.raises(ModelError, match="nowhere"):
        async with client_of(create_app(Settings(models=("nowhere",)), load=fail)):
            pass


async def test_model_that_fails_its_first_picture_stops_the_start(client_of, app, captioners):
    """A captioner that cannot caption a blank picture is not served."""
    captioners["vit"].poison = "grey"

    with pytest.raises(RuntimeError):
        async with client_of(app):
            pass


async def test_models_of_the_same_name_stop_the_start(client_of, make_app):
    """Two models that callers could not tell apart are refused."""
    with pytest.raises(ModelError, match="same name"):
        async with client_of(make_app(models=("gru", "gru"))):
            pass


async def test_batches_are_measured(client_of, app, picture):
    """The metrics page has the queue, the batch sizes and the seconds of the model."""
    async with client_of(app) as client:
        await client.post("/v1/captions", files={"image": ("a.png", picture("red"))})
        page = (await client.get("/metrics")).text

    assert "model_queue_items 0.0" in page
    assert "model_batch_items_count 3.0" in page  # two of them are the warm-up
    assert "model_batch_seconds_count 3.0" in page


async def test_openapi_documents_both_bodies(client_of, app):
    """The documentation of POST /v1/captions has the form and the JSON."""
    async with client_of(app) as client:
        operation = (await client.get("/openapi.json")).json()["paths"]["/v1/captions"]["post"]
    content = operation["requestBody"]["content"]

    assert set(content) == {"multipart/form-data", "application/json"}
    assert {"image", "num_beams"} <= set(content["multipart/form-data"]["schema"]["properties"])
    assert content["multipart/form-data"]["schema"]["properties"]["image"]["maxItems"] == 16
