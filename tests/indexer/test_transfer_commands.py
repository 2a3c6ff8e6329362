"""Versions are sent to a store and fetched from it on the command line, and a build may go there at once."""

import json

import pytest

from imagetext.index import current_version, list_versions
from indexer.__main__ import main
from tests.indexer.conftest import content_of, draw
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.test_merging import Api


@pytest.fixture
def store(tmp_path):
    return f"file://{tmp_path / 'store'}"


@pytest.fixture
def run(capsys):
    """run(argument, ...) -> status, what it printed, what it complained of."""

    def call(*arguments, encoder=None):
        status = main([str(each) for each in arguments], load=lambda _: encoder or FakeEncoder())
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def build(run, images, index):
    def make(seed, place=index, encoder=None, **options):
        draw(images / f"{seed}.png", seed)
        more = [each for name, value in options.items() for each in (f"--{name}", value)]
        status, printed, complaint = run(
            "build", "--images", images, "--index", place, "--json", *more, encoder=encoder
        )
        assert (status, complaint) == (0, "")
        return json.loads(printed)

    return make


def test_push_and_pull(run, build, index, store, tmp_path):
    """The current version, or the one that is named; what arrives is what was sent."""
    first, second = (build(seed)["version"] for seed in range(2))
    copy = tmp_path / "copy"
    sent = run("push", "--index", index, "--to", store, "--json")
    fetched = run("pull", "--index", copy, "--from", store, "--json")
    content = content_of(copy)
    back = run("push", first, "--index", index, "--to", store)
    fetched_back = run("pull", "--index", copy, "--from", store)

    files = ["vectors.npy", "rows.sqlite", "skipped.jsonl", "manifest.json"]
    assert sent[0] == fetched[0] == back[0] == fetched_back[0] == 0
    assert json.loads(sent[1]) == {"version": second, "to": store, "sent": files, "removed": []}
    assert json.loads(fetched[1]) == {"version": second, "from": store}
    assert content == content_of(index)
    assert current_version(copy) == first
    assert list_versions(copy) == [first, second]


def test_push_removes_old_versions(run, build, index, store):
    """If it is told how many to keep."""
    versions = []
    for seed in range(3):
        versions.append(build(seed)["version"])
        run("push", "--index", index, "--to", store)
    status, printed, _ = run("push", "--index", index, "--to", store, "--keep", 1)

    assert status == 0
    assert printed == f"Published version {versions[2]} in {store}; 0 files sent, 2 removed.\n"


def test_build_goes_to_a_store(build, run, store, tmp_path):
    """Another machine with nothing but the store encodes only what is new."""
    here, there, copy = tmp_path / "here", tmp_path / "there", tmp_path / "copy"
    build(0, store, work=here)
    encoder = FakeEncoder()
    summary = build(1, store, encoder, work=there)
    run("pull", "--index", copy, "--from", store)

    assert (summary["size"], summary["encoded"], summary["reused"]) == (2, 1, 1)
    assert encoder.batches == [1]
    assert current_version(copy) == summary["version"]
    assert sorted(content_of(copy)) == ["0.png", "1.png"]


def test_store_that_is_away_is_told_of_before_the_build(run, images, tmp_path):
    """With a sentence, and nothing is built."""
    draw(images / "0.png", 0)
    encoder = FakeEncoder()
    where = ["--images", images, "--index", "nowhere://bucket", "--work", tmp_path / "work"]
    status, _, complaint = run("build", *where, encoder=encoder)

    assert (status, encoder.batches) == (1, [])
    assert "nowhere://bucket" in complaint


def test_push_to_milvus(run, build, index, tmp_path):
    """A collection for each version; the published one is that of the alias, and what is there is not sent again."""
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'imagetext[milvus]'")
    pytest.importorskip("milvus_lite", reason="needs milvus-lite: pip install 'imagetext[milvus]'")
    address = f"milvus+file:{tmp_path / 'milvus.db'}/photos"
    versions = [build(seed)["version"] for seed in range(3)]
    sent = [json.loads(run("push", each, "--index", index, "--to", address, "--json")[1]) for each in versions]
    back = json.loads(run("push", versions[0], "--index", index, "--to", address, "--json", "--keep", 1)[1])
    status, _, complaint = run("pull", "--index", index, "--from", address)

    assert [each["sent"] for each in sent] == [["vectors.npy", "rows.sqlite"]] * 3
    assert back == {"version": versions[0], "to": address, "sent": [], "removed": [versions[1]]}
    assert (status, "not an object store" in complaint) == (1, True)


def test_damaged_version_is_not_sent(run, build, index, store):
    """The store keeps what it has."""
    version = build(0)["version"]
    (index / "versions" / version / "rows.sqlite").write_bytes(b"x")
    status, _, complaint = run("push", "--index", index, "--to", store)

    assert status == 1
    assert "rows.sqlite" in complaint
    assert run("pull", "--index", index, "--from", store)[2] == f"There is no index in {store} yet.\n"


def test_impossible_places(run, index, store, capsys):
    """Are answered with what to do."""
    unknown = run("push", "--index", index, "--to", store)
    folder = run("pull", "--index", index, "--from", "some/folder")
    with pytest.raises(SystemExit):
        run("versions", "--index", store)

    assert unknown[0] == folder[0] == 1
    assert "no such version" in unknown[2]
    assert "some/folder is not an object store" in folder[2]
    assert f"pull --from {store}" in capsys.readouterr().err


def test_what_the_api_said_travels_along(run, build, index, images, store, tmp_path):
    """A build over the pulled copy leaves out what was deleted, and keeps what was added, without its file."""
    build(1), build(2)
    api = Api(tmp_path, index)
    api.add("new/x.png", 50)
    api.delete("1.png")
    build(3)
    copy = tmp_path / "copy"
    sent = json.loads(run("push", "--index", index, "--to", store, "--json")[1])["sent"]
    assert run("pull", "--index", copy, "--from", store)[0] == 0
    again = build(4, place=copy)

    assert "overrides.jsonl" in sent
    assert set(content_of(copy)) == {"2.png", "3.png", "4.png", "new/x.png"}
    assert (again["encoded"], again["skipped"]) == (1, 0)
