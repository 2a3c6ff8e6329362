"""POST /v1/labels: names for what is in a picture."""

import base64
import json

import pytest

from imagetext.models.encoder.calibration import Labels
from tests.services.retrieval.conftest import ColourEncoder


@pytest.fixture
def encoder() -> ColourEncoder:
    """It knows three names."""
    return ColourEncoder(labels=Labels(("red", "green", "blue"), scale=10.0))


def form(*pictures: bytes, **options: object) -> dict[str, object]:
    return {"files": [("image", ("p.png", picture, "image/png")) for picture in pictures], "data": options}


async def test_what_the_model_knows(app, client_of, picture):
    """Names with their probabilities, likeliest first, and the size of the upright picture; `k` says how many."""
    async with client_of(app) as client:
        reply = (await client.post("/v1/labels", **form(picture("green"), k=2))).json()

    (result,) = reply["results"]
    assert [label["name"] for label in result["labels"]] == ["green", "red"]
    assert result["labels"][0]["probability"] > 0.99 > result["labels"][1]["probability"]
    assert (result["width"], result["height"]) == (40, 30)
    assert (reply["model"]["name"], reply["model"]["kind"]) == ("colours", "encoder")


@pytest.mark.parametrize("in_json", [False, True])
async def test_names_that_a_caller_gives(app, client_of, picture, in_json):
    """They are compared as words, in the sentence of `prompt`, and their probabilities add up to 1."""
    names = ["a yellow thing", "a blue thing", "red"]
    async with client_of(app) as client:
        if in_json:
            body = {"image": base64.b64encode(picture("yellow")).decode(), "labels": names, "prompt": "{}"}
            response = await client.post("/v1/labels", json=body)
        else:
            response = await client.post("/v1/labels", **form(picture("yellow"), labels=json.dumps(names), prompt="{}"))

    labels = response.json()["results"][0]["labels"]
    assert next(label["name"] for label in labels) == "a yellow thing"
    assert {label["name"] for label in labels} == set(names)
    assert sum(label["probability"] for label in labels) == pytest.approx(1, abs=0.001)


async def test_a_picture_that_fails_stands_in_its_place(app, client_of, picture):
    """Among others it has its problem there; alone it is the answer."""
    async with client_of(app) as client:
        several = (await client.post("/v1/labels", **form(picture("red"), b"no picture"))).json()
        alone = await client.post("/v1/labels", **form(b"no picture"))

    assert several["results"][0]["labels"][0]["name"] == "red"
    assert several["results"][1]["error"]["status"] == alone.status_code == 415


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"labels": "cat, dog"},
        {"labels": "[]"},
        {"labels": '[""]'},
        {"prompt": "a photo"},
        {"prompt": "{} {}"},
    ],
)
async def test_bad_options_are_refused(app, client_of, picture, options):
    """With a sentence that says what is wrong."""
    async with client_of(app) as client:
        response = await client.post("/v1/labels", **form(picture("red"), **options))

    assert response.status_code == 422
    assert response.json()["detail"]


async def test_a_model_without_names_compares_those_that_are_given(app, encoder, client_of, picture):
    """Without any there is nothing to answer with."""
    encoder.labels = None
    async with client_of(app) as client:
        given = await client.post("/v1/labels", **form(picture("blue"), labels='["red", "blue"]', prompt="{}"))
        none = await client.post("/v1/labels", **form(picture("blue")))

    assert given.json()["results"][0]["labels"][0] == {"name": "blue", "probability": 1.0}
    assert (none.status_code, none.json()["detail"]) == (
        422,
        "Field `labels` is missing: this model knows no names of its own.",
    )
