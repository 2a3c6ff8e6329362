"""Words to pictures, through all processes."""

import re
import threading

import httpx
import pytest

from imagetext.index import current_version, list_versions
from tests.journeys.conftest import System, run_module
from tests.patience import wait_until


def search(client: httpx.Client, **body: object) -> list[dict[str, object]]:
    reply = client.post("/v1/search", json=body)
    assert reply.status_code == 200, reply.text
    results: list[dict[str, object]] = reply.json()["results"]
    return results


def test_sentences_find_their_scenes(system: System) -> None:
    """The full sentence of a scene that was never trained on finds it first in most cases, and nearly always in ten."""
    ranks = []
    with system.client() as client:
        for name, sentences in system.sentences.items():
            paths = [hit["path"] for hit in search(client, text=sentences[0], k=10)]
            ranks.append(paths.index(name) if name in paths else 10)

    assert sum(rank == 0 for rank in ranks) / len(ranks) >= 0.6
    assert sum(rank < 10 for rank in ranks) / len(ranks) >= 0.9


def test_a_picture_finds_itself_and_like_leaves_it_out(system: System) -> None:
    """Searching with an indexed picture gives it first; `like` gives its neighbours without it."""
    name = sorted(system.images.iterdir())[3].name

    with system.client() as client:
        files = {"image": (system.images / name).read_bytes()}
        hits = client.post("/v1/search/image", files=files, data={"k": "5"}).json()["results"]
        like = search(client, like=hits[0]["id"], k=5)

    assert hits[0]["path"] == name
    assert hits[0]["score"] > 0.99
    assert name not in [hit["path"] for hit in like]
    assert {hit["path"] for hit in hits[1:]} <= {hit["path"] for hit in like}


def test_pages_join_without_gap_or_overlap(system: System) -> None:
    """Two pages of six are the first twelve."""
    with system.client() as client:
        whole = search(client, text="a dog in the snow", k=12)
        pages = search(client, text="a dog in the snow", k=6) + search(client, text="a dog in the snow", k=6, offset=6)

    assert [hit["id"] for hit in pages] == [hit["id"] for hit in whole]


def test_captions_come_with_hits_and_narrow_a_search(system: System) -> None:
    """The sentences that the index was built with are found by their words, and a filter leaves only those."""
    with system.client() as client:
        hits = search(client, text="animals", k=200, filter={"caption": "dog"})
        name, sentences = next(item for item in system.sentences.items() if "dog" in item[1][0])
        mixed = search(client, text=sentences[0], k=5, hybrid=True)
        upright = search(client, text=sentences[0], k=200, filter={"orientation": "portrait"})
        nothing = search(client, text="animals", filter={"taken": {"from": "2000"}})

    with_dogs = {name for name, said in system.sentences.items() if re.search(r"\bdogs?\b", " ".join(said), re.I)}
    assert {hit["path"] for hit in hits} == with_dogs
    assert all(hit["captions"] == list(system.sentences[str(hit["path"])][:3]) for hit in hits)
    assert mixed[0]["path"] == name
    assert 0 < len(upright) < len(system.sentences)
    assert all(hit["width"] < hit["height"] for hit in upright)
    assert nothing == []


def test_parts_minus_relevance_and_duplicates(system: System) -> None:
    """Unwanted words push their pictures back, however they are said; thresholds and collapsing hold."""
    with system.client() as client:
        plain = search(client, text="a dog", k=100)
        without = search(client, text="a dog -snow", k=100)
        in_json = search(client, parts=[{"text": "snow", "weight": -2}, {"text": "a dog", "weight": 2}], k=100)
        like = search(client, like=plain[0]["id"], text="-snow", k=100)
        least = sorted(float(str(hit["relevance"])) for hit in plain)[-10]
        relevant = search(client, text="a dog", k=100, min_relevance=least)
        collapsed = search(client, text="a dog", k=100, collapse_duplicates=True)
        snowy = {hit["path"] for hit in search(client, text="snow", k=10)}

    def mean_place(hits: list[dict[str, object]]) -> float:
        return sum(place for place, hit in enumerate(hits) if hit["path"] in snowy) / len(snowy)

    assert mean_place(without) > mean_place(plain)
    assert [hit["id"] for hit in in_json] == [hit["id"] for hit in without]
    assert plain[0]["id"] not in [hit["id"] for hit in like]
    assert [hit["id"] for hit in relevant] == [hit["id"] for hit in plain if float(str(hit["relevance"])) >= least]
    shown = [hit["id"] for hit in collapsed]
    hidden = [id for hit in collapsed for id in hit["duplicates"]]  # type: ignore[attr-defined]
    assert sorted(shown + hidden) == sorted(hit["id"] for hit in plain)


def test_hits_link_to_picture_and_thumbnail(system: System) -> None:
    """The links of a hit serve the file itself and a smaller JPEG, and say 304 the second time."""
    with system.client() as client:
        hit = search(client, text="a red car", k=1)[0]
        picture = client.get(str(hit["url"]))
        thumbnail = client.get(str(hit["thumbnail_url"]), params={"size": 128})
        again = client.get(str(hit["url"]), headers={"If-None-Match": picture.headers["ETag"]})

    assert picture.content == (system.images / str(hit["path"])).read_bytes()
    assert thumbnail.headers["Content-Type"] == "image/jpeg"
    assert len(thumbnail.content) < len(picture.content)
    assert again.status_code == 304


def test_new_version_is_taken_up_without_a_failed_request(system: System) -> None:
    """While a new version is published, every search succeeds; then the new picture is found."""
    statuses: set[int] = set()
    done = threading.Event()

    def keep_searching() -> None:
        with system.client() as client:
            number = 0
            while not done.is_set():
                number += 1
                statuses.add(client.post("/v1/search", json={"text": f"a boat number {number}", "k": 3}).status_code)

    before = current_version(system.index)
    copy = system.images / "zz-copy.jpg"
    searcher = threading.Thread(target=keep_searching)
    searcher.start()
    try:
        copy.write_bytes(sorted(system.images.iterdir())[0].read_bytes())
        built = run_module("indexer", "build", "--images", system.images, "--index", system.index)
        assert built.returncode == 0, built.stderr
        with system.client() as client:
            after = current_version(system.index)
            wait_until(lambda: client.get("/v1/index").json()["version"] == after)
            wait_until(lambda: copy.name in str(search(client, text=system.sentences["scene-000001.jpg"][0])))
    finally:
        done.set()
        searcher.join()
        copy.unlink()

    assert statuses == {200}
    assert after != before
    assert after in list_versions(system.index)


@pytest.mark.parametrize("identifier", ["0" * 16, "..%2f..%2fetc%2fpasswd", "x" * 300, "%00"])
def test_unknown_ids_are_not_found(system: System, identifier: str) -> None:
    """An id that names no indexed picture is a 404 problem."""
    with system.client() as client:
        reply = client.get(f"/v1/images/{identifier}")

    assert reply.status_code == 404
    assert reply.headers["Content-Type"] == "application/problem+json"
