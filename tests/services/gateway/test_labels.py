"""Labels through the gateway: as captions, from the service that has the encoder."""


def form(*pictures: bytes, **options: object) -> dict[str, object]:
    return {"files": [("image", ("p.jpg", picture, "image/jpeg")) for picture in pictures], "data": options}


async def test_a_picture_is_labelled_once(client, door):
    """The second answer is the same and comes from the cache; the caption of the picture is another question."""
    await client.post("/v1/captions", **form(b"dog"))
    first = await client.post("/v1/labels", **form(b"dog"))
    second = await client.post("/v1/labels", **form(b"dog"))

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.json() == second.json()
    assert first.json()["results"][0]["labels"] == [{"name": "dog", "probability": 0.9}]
    assert first.json()["model"]["kind"] == "encoder"
    assert door.retrieval.calls["labels"] == 1


async def test_only_misses_are_asked_for(client, door):
    """Other options are another question."""
    await client.post("/v1/labels", **form(b"two"))
    both = await client.post("/v1/labels", **form(b"one", b"two"))
    named = await client.post("/v1/labels", **form(b"two", labels='["my bicycle"]'))

    assert (both.headers["X-Cache"], named.headers["X-Cache"]) == ("partial", "miss")
    assert [result["labels"][0]["name"] for result in both.json()["results"]] == ["one", "two"]
    assert named.json()["results"][0]["labels"][0]["name"] == "my bicycle"
    assert door.retrieval.calls["labels"] == 3


async def test_names_must_be_a_list(client, door):
    """What cannot be read is refused before anybody is asked."""
    response = await client.post("/v1/labels", **form(b"dog", labels="cat, dog"))

    assert response.status_code == 422
    assert not door.retrieval.calls["labels"]


async def test_a_caption_with_labels(client, door):
    """Both services are asked, each keeps its own answer, and a picture that fails has no labels."""
    plain = await client.post("/v1/captions", **form(b"dog"))
    first = await client.post("/v1/captions", **form(b"dog", labels=True))
    second = await client.post("/v1/captions", **form(b"dog", labels=True))
    mixed = await client.post("/v1/captions", **form(b"dog", b"BAD", labels=True))

    (result,) = first.json()["results"]
    assert result["captions"] == plain.json()["results"][0]["captions"]
    assert result["labels"] == [{"name": "dog", "probability": 0.9}]
    assert "labels" not in plain.json()["results"][0]
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert (door.caption.calls["captions"], door.retrieval.calls["labels"]) == (2, 2)
    assert [set(each) for each in mixed.json()["results"]] == [{"captions", "labels", "width", "height"}, {"error"}]
