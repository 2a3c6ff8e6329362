"""Picture to caption, through all processes."""

import base64

import pytest

from imagetext.models.captioner.vocabulary import words_of
from tests.journeys.conftest import System

SUBJECTS = {"dog", "dogs", "man", "woman", "boy", "girl", "bird", "birds", "horse", "horses", "boat", "car", "train"}


def test_captions_name_what_is_drawn(system: System) -> None:
    """Of the scenes whose sentence names a common subject, most captions name it too."""
    named = asked = 0
    with system.client() as client:
        for name, sentences in system.sentences.items():
            wanted = SUBJECTS & set(words_of(sentences[0]))
            if len(wanted) != 1:
                continue
            reply = client.post("/v1/captions", files={"image": (system.images / name).read_bytes()})
            assert reply.status_code == 200
            text = reply.json()["results"][0]["captions"][0]["text"]
            asked += 1
            named += next(iter(wanted)).rstrip("s") in text

    assert asked >= 10
    assert named / asked > 0.5


def test_alternatives_scores_and_attention(system: System) -> None:
    """Three captions come best first, and every word has a grid of attention that sums to one."""
    picture = next(iter(system.images.iterdir())).read_bytes()

    with system.client() as client:
        form = {"num_captions": "3", "attention": "true"}
        result = client.post("/v1/captions", files={"image": picture}, data=form).json()["results"][0]

    captions = result["captions"]
    assert len({caption["text"] for caption in captions}) == 3
    assert all(caption["score"] < 0 for caption in captions)
    for word in captions[0]["words"]:
        assert sum(map(sum, word["attention"])) == pytest.approx(1, abs=0.01)
    assert " ".join(word["text"] for word in captions[0]["words"]) == captions[0]["text"]


def test_second_time_comes_from_the_cache(system: System) -> None:
    """The same picture with the same options is answered from Redis, whichever way it is sent."""
    picture = sorted(system.images.iterdir())[5].read_bytes()

    with system.client() as client:
        options = {"num_beams": "4"}
        first = client.post("/v1/captions", files={"image": picture}, data=options)
        body = {"image": base64.b64encode(picture).decode(), "num_beams": 4}
        second = client.post("/v1/captions", json=body)

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.json()["results"] == second.json()["results"]


def test_a_failing_picture_keeps_its_place(system: System) -> None:
    """Between two good pictures a bad one gets its problem, the others their captions."""
    good = [path.read_bytes() for path in sorted(system.images.iterdir())[:2]]

    with system.client() as client:
        parts = [("image", data) for data in (good[0], b"no picture at all", good[1])]
        results = client.post("/v1/captions", files=parts).json()["results"]

    assert [("captions" in r, r.get("error", {}).get("status")) for r in results] == [
        (True, None),
        (False, 415),
        (True, None),
    ]
