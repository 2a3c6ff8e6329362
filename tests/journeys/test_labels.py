"""Names for pictures, through all processes."""

import json

from tests.journeys.conftest import System

SCENES = 20


def test_a_scene_is_likeliest_what_its_own_sentence_says(system: System) -> None:
    """Of the sentences of twenty scenes that were never trained on, each mostly gets its own."""
    names = sorted(system.sentences)[:SCENES]
    sentences = [system.sentences[name][0] for name in names]
    files = [("image", (name, (system.images / name).read_bytes(), "image/jpeg")) for name in names[:16]]

    with system.client() as client:
        data = {"labels": json.dumps(sentences), "prompt": "{}", "k": "1"}
        reply = client.post("/v1/labels", files=files, data=data)

    best = [result["labels"][0]["name"] for result in reply.json()["results"]]
    assert sum(found == own for found, own in zip(best, sentences, strict=False)) >= 0.6 * len(best)


def test_what_the_model_knows_comes_with_a_caption(system: System) -> None:
    """The same five names in both answers, likeliest first; the second time they come from the cache."""
    name = sorted(system.sentences)[0]
    files = {"image": (system.images / name).read_bytes()}

    with system.client() as client:
        labels = client.post("/v1/labels", files=files)
        again = client.post("/v1/labels", files=files)
        caption = client.post("/v1/captions", files=files, data={"labels": "true"})

    found = labels.json()["results"][0]["labels"]
    assert len(found) == 5
    assert [each["probability"] for each in found] == sorted((each["probability"] for each in found), reverse=True)
    assert caption.json()["results"][0]["labels"] == found
    assert caption.json()["results"][0]["captions"][0]["text"]
    assert (labels.headers["X-Cache"], again.headers["X-Cache"]) == ("miss", "hit")
