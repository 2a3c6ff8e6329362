"""A version leaves as files that other programs read, and comes back as it was."""

import fcntl
import json
import os
from datetime import datetime

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from imagetext.index import list_versions
from indexer.build import build
from indexer.descriptions import Description, Descriptions
from indexer.sources import open_source
from tests.indexer.conftest import draw, open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.sources.conftest import png
from tests.indexer.test_merging import Api


@pytest.fixture
def built(images, index, encoder):
    """Seven pictures, one with a name that is not UTF-8."""
    for seed in range(6):
        draw(images / f"{seed}" / "ä b.png", seed)
    draw(images / os.fsdecode(b"\xff.png"), 6)
    build(images, index, encoder)
    return images


def everything(index):
    """What a version says, apart from its name."""
    reader = open_current(index)
    said = reader.rows(), reader.vectors(range(reader.info.size)).tobytes(), reader.carried(range(reader.info.size))
    root = reader.images_root
    reader.close()
    return root, *said


@pytest.mark.parametrize("form", ["clip-retrieval", "parquet"])
def test_a_version_comes_back_bit_by_bit(run, index, built, tmp_path, form):
    """Vectors in float32, ids, paths of any bytes, sizes, times, hashes."""
    status, summary, _ = run(
        "export", "--out", tmp_path / "out", "--format", form, "--dtype", "float32", "--shard-size", 3
    )
    imported, seen, _ = run("import", "--from", tmp_path / "out", at=tmp_path / "other")

    assert (status, summary["size"], summary["shards"]) == (0, 7, 3)
    assert (imported, seen["size"], seen["missing"], seen["compared"]) == (0, 7, 0, "fingerprint")
    assert everything(tmp_path / "other") == everything(index)


def test_paths_of_an_object_store_are_addresses(run, index, encoder, tmp_path):
    """As other programs open them."""
    store = fsspec.filesystem("memory")
    try:
        store.pipe_file("/exported/a.png", png(1))
        build(open_source("memory://exported"), index, encoder)
    finally:
        store.rm("/exported", recursive=True)
    run("export", "--out", tmp_path / "out", "--format", "parquet")
    (table,) = [pq.read_table(file) for file in (tmp_path / "out").rglob("*.parquet")]

    assert table["image_path"].to_pylist() == ["memory:///exported/a.png"]


@pytest.mark.parametrize("form", ["clip-retrieval", "parquet"])
def test_what_came_with_pictures_goes_with_them(run, index, collection, tmp_path, form):
    """Columns of a collection survive both ways, and so do its vectors in float16."""
    run("import", "--from", collection)
    run("export", "--out", tmp_path / "out", "--format", form, "--dtype", "float16", "--shard-size", 2)
    assert run("import", "--from", tmp_path / "out", at=tmp_path / "other")[0] == 0

    (root, rows, _, carried), (other_root, other_rows, _, other_carried) = (
        everything(index),
        everything(tmp_path / "other"),
    )
    assert (root, rows, carried) == (other_root, other_rows, other_carried)
    run("export", "--out", tmp_path / "again", at=tmp_path / "other")
    before = np.concatenate([np.load(file) for file in sorted((collection / "img_emb").iterdir())])
    assert np.array_equal(np.load(tmp_path / "again" / "img_emb" / "img_emb_0.npy"), before)


def test_files_are_those_of_clip_retrieval(run, collection, tmp_path, index):
    """Names with as many digits as needed, float16, a row of metadata for each vector, columns as it calls them."""
    run("import", "--from", collection)
    run("export", "--out", tmp_path / "out", "--shard-size", 1)
    files = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*"))

    assert files == [f"img_emb/img_emb_{n}.npy" for n in range(5)] + [
        f"metadata/metadata_{n}.parquet" for n in range(5)
    ]
    assert np.load(tmp_path / "out" / files[2]).dtype == np.float16
    table = pq.read_table(tmp_path / "out" / "metadata" / "metadata_2.parquet")
    assert table.column_names == ["image_path", "caption", "width", "height", "score", "url", "imagetext"]
    row = table.to_pylist()[0]
    assert row["image_path"].endswith("/pictures/a/2.png") and os.path.exists(row["image_path"])
    assert (row["caption"], row["width"], row["height"]) == ("picture 2", 16, 12)


def test_ten_parts_have_two_digits(run, built, images, index, encoder, tmp_path):
    """As clip-retrieval numbers ten of them, so that names sort."""
    for seed in range(7, 10):
        draw(images / f"{seed}.png", seed)
    run("build", "--images", images)
    run("export", "--out", tmp_path / "out", "--shard-size", 1)

    assert sorted(file.name for file in (tmp_path / "out" / "img_emb").iterdir())[:2] == [
        "img_emb_00.npy",
        "img_emb_01.npy",
    ]


def test_captions_get_vectors(run, collection, index, encoder, tmp_path):
    """With a model, which must be that of the version."""
    run("import", "--from", collection)
    status, _, complaint = run("export", "--out", tmp_path / "out", "--model", "any", model=FakeEncoder("other"))
    assert status == 1 and "made by a model other than" in complaint

    run("export", "--out", tmp_path / "out", "--model", "any", "--dtype", "float32")
    texts = np.load(tmp_path / "out" / "text_emb" / "text_emb_0.npy")
    assert np.array_equal(texts, encoder.encode_texts([f"picture {row}" for row in range(5)]))


def test_columns_of_several_types_agree_in_all_parts(run, tmp_path, index, encoder):
    """Where some parts have none or others' types; what is no plain value is written as JSON."""
    from tests.indexer.exchange.conftest import unit, write_part

    rows = [
        {"n": 1, "b": True, "l": ["x"], "d": {"e": 1.5}},
        {"n": 0.5, "b": "yes", "l": None, "d": None},
        {"z": "only"},
    ]
    for number, row in enumerate(rows):
        write_part(tmp_path / "set", str(number), unit(1, number), [{"image_path": f"x/{number}.png", **row}])
    run("import", "--from", tmp_path / "set")
    run("export", "--out", tmp_path / "out", "--format", "parquet", "--shard-size", 1)
    columns = ["n", "b", "l", "d", "z"]
    tables = [pq.read_table(file, columns=columns) for file in sorted((tmp_path / "out").iterdir())]

    assert len({str(table.schema.remove_metadata()) for table in tables}) == 1
    assert [table.to_pylist()[0] for table in tables] == [
        {"n": 1.0, "b": "true", "l": ["x"], "d": '{"e": 1.5}', "z": None},
        {"n": 0.5, "b": '"yes"', "l": None, "d": None, "z": None},
        {"n": None, "b": None, "l": None, "d": None, "z": "only"},
    ]


def test_nothing_is_overwritten_and_nothing_half_is_left(run, built, index, tmp_path):
    """A folder with something in it stays; a damaged version leaves no trace; a killed export's traces go away."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    status, _, complaint = run("export", "--out", out)
    assert status == 1 and "exists and is not empty" in complaint
    assert [file.name for file in tmp_path.glob("*out*")] == ["out"]

    (out / "mine.txt").unlink()
    leftover = tmp_path / ".out.unfinished" / "img_emb"
    leftover.mkdir(parents=True)
    (leftover / "img_emb_7.npy").write_text("half")
    assert run("export", "--out", out)[0] == 0
    assert sorted(file.name for file in out.rglob("*.*")) == ["img_emb_0.npy", "metadata_0.parquet"]
    assert not (tmp_path / ".out.unfinished").exists()


def test_an_interrupted_export_leaves_nothing(run, collection, tmp_path):
    """Ctrl-C in the middle of writing."""

    class Interrupted(FakeEncoder):
        def encode_texts(self, texts):
            raise KeyboardInterrupt

    run("import", "--from", collection)
    before = set(tmp_path.iterdir())
    status, _, complaint = run("export", "--out", tmp_path / "out", "--model", "any", model=Interrupted())

    assert (status, complaint) == (1, "Interrupted. It left nothing behind.\n")
    assert set(tmp_path.iterdir()) == before


def test_two_exports_into_one_folder(run, built, tmp_path):
    """The second is refused as long as the first is running."""
    hidden = tmp_path / ".out.unfinished"
    hidden.mkdir()
    descriptor = os.open(hidden, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    status, _, complaint = run("export", "--out", tmp_path / "out")
    os.close(descriptor)

    assert status == 1 and "Another process is writing" in complaint
    assert not (tmp_path / "out").exists()


def test_versions_that_cannot_be_exported(run, built, index, tmp_path):
    """None yet, no such one, a damaged one, and captions where there are none: one sentence each."""
    out = tmp_path / "out"
    assert "has no version yet" in run("export", "--out", out, at=tmp_path / "empty")[2]
    assert (
        "has no version 20200101T000000Z-000000"
        in run("export", "--out", out, "--version", "20200101T000000Z-000000")[2]
    )
    assert "has no captions" in run("export", "--out", out, "--model", "any")[2]
    assert (
        "only written with --format clip-retrieval"
        in run("export", "--out", out, "--model", "any", "--format", "parquet")[2]
    )
    vectors = index / "versions" / list_versions(index)[0] / "vectors.npy"
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    assert "checksum differs" in run("export", "--out", out)[2]
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*"))


def test_rows_of_files_that_are_elsewhere_come_back_too(run, index, built, tmp_path):
    """As they were when they were indexed; the summary says how many are away."""
    run("export", "--out", tmp_path / "out", "--dtype", "float32")
    built.rename(tmp_path / "moved")
    assert run("import", "--from", tmp_path / "out", at=tmp_path / "other")[1]["missing"] == 7
    assert everything(tmp_path / "other") == everything(index)
    moved = run("import", "--from", tmp_path / "out", "--images", tmp_path / "moved", at=tmp_path / "other")
    assert (moved[0], moved[1]["missing"]) == (0, 0)
    assert everything(tmp_path / "other") == (tmp_path / "moved", *everything(index)[1:])


def test_another_indexs_export_is_known_by_its_fingerprint(run, built, tmp_path):
    """Even where vectors of the two models look alike."""
    run("export", "--out", tmp_path / "out")
    status, _, complaint = run("import", "--from", tmp_path / "out", model=FakeEncoder("other"), at=tmp_path / "other")
    assert status == 1 and "its encoder's fingerprint is different" in complaint

    note = json.loads(pq.read_schema(tmp_path / "out" / "metadata" / "metadata_0.parquet").metadata[b"imagetext"])
    assert note["encoder"] == {"name": "fake", "fingerprint": "fake-1", "dimensions": 16}


@pytest.mark.parametrize("form", ["clip-retrieval", "parquet"])
def test_descriptions_come_back(run, index, images, built, encoder, tmp_path, form):
    """All captions, tags and times, and other programs get the first caption."""
    said = Description(datetime(2024, 5, 31, 18, 30, 5), ("Dog", "snow"), ("Two dogs.", "Snow, and \u201cdogs\u201d."))
    build(images, index, encoder, descriptions=Descriptions({"0/ä b.png": said}))
    run("export", "--out", tmp_path / "out", "--format", form, "--dtype", "float32")
    run("import", "--from", tmp_path / "out", at=tmp_path / "other")
    (table,) = (tmp_path / "out").rglob("*.parquet")

    assert everything(tmp_path / "other") == everything(index)
    assert pq.read_table(table)["caption"].to_pylist() == ["Two dogs.", *[None] * 6]
    [row] = [row for row in open_current(tmp_path / "other").rows() if row.captions]
    assert (row.taken, row.tags, row.captions) == (said.taken, said.tags, said.captions)


def test_what_came_through_the_api_leaves_with_the_next_build(run, index, built, encoder, tmp_path):
    """An export is of a version: changes since are in none yet."""
    api = Api(tmp_path, index)
    api.add("new/x.png", 50)
    api.delete("0/ä b.png")
    before = run("export", "--out", tmp_path / "before")[1]
    build(built, index, encoder)
    after = run("export", "--out", tmp_path / "after")[1]
    paths = pq.read_table(tmp_path / "after" / "metadata" / "metadata_0.parquet")["imagetext"].to_pylist()

    assert (before["size"], after["size"]) == (7, 7)
    assert before["version"] != after["version"]
    assert b"new/x.png" in [row["path"] for row in paths]
