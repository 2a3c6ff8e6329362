"""A collection of clip-retrieval becomes an index version, and no picture is encoded for it."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagetext.index import current_version, picture_id
from indexer.__main__ import main
from tests.indexer.conftest import draw, open_current
from tests.indexer.exchange.conftest import DIMENSIONS, encode, unit, write_part
from tests.indexer.fake_encoder import FakeEncoder


def test_vectors_files_and_columns_are_taken_over(run, index, collection, pictures, encoder):
    """In the collection's order, normalised; the other columns are carried along."""
    status, summary, _ = run("import", "--from", collection)
    reader = open_current(index)
    rows, paths = reader.rows(), sorted(pictures.rglob("*.png"))

    assert (status, summary["size"], summary["missing"], summary["compared"]) == (0, 5, 0, "captions")
    assert [row.path for row in rows] == ["a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    assert [row.id for row in rows] == [picture_id(row.path) for row in rows]
    assert reader.images_root == pictures
    assert [(row.width, row.height, row.bytes) for row in rows] == [(16, 12, path.stat().st_size) for path in paths]
    vectors = reader.vectors(range(5))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, encode(encoder, paths), atol=1e-3)
    assert rows[4].captions == ("picture 4",)
    assert reader.carried([4]) == [{"url": "https://example.org/4.png", "score": 1.0}]
    assert (reader.info.fingerprint, reader.info.encoder) == (encoder.fingerprint, encoder.name)
    reader.close()


def test_a_build_over_the_same_pictures_encodes_nothing(run, index, collection, pictures):
    """The version is one like any other."""
    run("import", "--from", collection)
    status, summary, _ = run("build", "--images", pictures)

    assert (status, summary["encoded"], summary["size"]) == (0, 0, 5)


def test_pictures_need_not_be_there(run, index, collection, pictures):
    """They are found all the same, by rows that say so; sizes are those that the collection tells."""
    shutil.rmtree(pictures)
    status, summary, _ = run("import", "--from", collection)
    reader = open_current(index)

    assert (status, summary["size"], summary["missing"]) == (0, 5, 5)
    assert reader.images_root == pictures
    assert not any(row.was_seen for row in reader.rows())
    assert len({row.sha256 for row in reader.rows()}) == 5
    found = reader.search(reader.vectors([3]), 1)[1]
    assert (found.tolist(), reader.row(3).path) == ([[3]], "b/3.png")
    reader.close()


def test_keys_of_archives_name_pictures_too(run, index, tmp_path):
    """Where clip-retrieval read archives, there are keys in place of paths."""
    columns = [
        {"image_path": f"{row:09}", "caption": "", "key": f"{row:09}", "width": 640, "height": 480} for row in (1, 2)
    ]
    write_part(tmp_path / "set", "0", unit(2), columns)
    status, summary, _ = run("import", "--from", tmp_path / "set")
    reader = open_current(index)

    assert (status, summary["missing"], summary["compared"]) == (0, 2, None)
    assert [(row.path, row.width, row.height) for row in reader.rows()] == [
        ("000000001", 640, 480),
        ("000000002", 640, 480),
    ]
    reader.close()


def test_moved_pictures_are_found_where_one_says(run, index, collection, pictures, tmp_path):
    """The folder that all paths share is where `--images` says; a folder above the pictures is taken as it is."""
    pictures.rename(tmp_path / "moved")
    assert run("import", "--from", collection, "--images", tmp_path / "moved")[1]["missing"] == 0
    reader = open_current(index)
    assert (reader.images_root, reader.row(0).path) == (tmp_path / "moved", "a/0.png")
    reader.close()

    (tmp_path / "moved").rename(pictures)
    assert run("import", "--from", collection, "--images", tmp_path)[1]["missing"] == 0
    reader = open_current(index)
    assert (reader.images_root, reader.row(0).path) == (tmp_path, "pictures/a/0.png")
    reader.close()


@pytest.mark.parametrize("without", ["text_emb", "nothing"])
def test_vectors_of_another_model_are_refused(run, index, collection, without):
    """Told by the captions, or by the pictures; unless one is trusted."""
    shutil.rmtree(collection / without, ignore_errors=True)
    compared = "pictures" if without == "text_emb" else "captions"
    another = FakeEncoder("other-model")
    another.encode_texts = lambda texts: FakeEncoder().encode_texts([text[::-1] for text in texts])
    status, _, complaint = run("import", "--from", collection, model=another)

    assert status == 1 and f"its {compared} have other vectors" in complaint and "--trust" in complaint
    assert current_version(index) is None
    assert run("import", "--from", collection, "--trust", model=another)[0] == 0
    assert run("import", "--from", collection)[1]["compared"] == compared


def test_vectors_of_another_length_are_refused(run, collection):
    """Trusted or not."""
    status, _, complaint = run("import", "--from", collection, "--trust", model=FakeEncoder(dimensions=32))

    assert status == 1 and "img_emb_00.npy have 16 numbers" in complaint and "have 32" in complaint


def _lose_a_row(folder):
    np.save(folder / "img_emb" / "img_emb_10.npy", unit(3))


def _lose_metadata(folder):
    (folder / "metadata" / "metadata_10.parquet").unlink()


def _lose_vectors(folder):
    (folder / "img_emb" / "img_emb_10.npy").unlink()


def _cut_vectors(folder):
    file = folder / "img_emb" / "img_emb_10.npy"
    file.write_bytes(file.read_bytes()[:-1])


def _cut_metadata(folder):
    file = folder / "metadata" / "metadata_10.parquet"
    file.write_bytes(file.read_bytes()[:-9])


def _spoil_a_number(folder):
    vectors = unit(2)
    vectors[1, 3] = np.nan
    np.save(folder / "img_emb" / "img_emb_10.npy", vectors)


def _empty_a_vector(folder):
    np.save(folder / "img_emb" / "img_emb_10.npy", np.zeros((2, DIMENSIONS), np.float16))


def _other_length(folder):
    np.save(folder / "img_emb" / "img_emb_10.npy", np.ones((2, 8), np.float16))


def _lose_the_paths(folder):
    for number, rows in (("00", 3), ("10", 2)):
        pq.write_table(pa.table({"caption": ["x"] * rows}), folder / "metadata" / f"metadata_{number}.parquet")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_lose_a_row, "img_emb_10.npy holds 3 vectors, but metadata_10.parquet has 2 rows"),
        (_lose_metadata, "img_emb_10.npy has no metadata of the number 10"),
        (_lose_vectors, "metadata_10.parquet has no img_emb of the number 10"),
        (_cut_vectors, "img_emb_10.npy cannot be read"),
        (_cut_metadata, "metadata_10.parquet cannot be read"),
        (_spoil_a_number, "Vector 1 of img_emb_10.npy has a number that is not finite"),
        (_empty_a_vector, "Vector 0 of img_emb_10.npy"),
        (_other_length, "The vectors of img_emb_10.npy have 8 numbers, those of img_emb_00.npy have 16"),
        (_lose_the_paths, "metadata_00.parquet has no column image_path or key or url"),
    ],
)
def test_damaged_collections_are_refused(run, index, collection, spoil, sentence):
    """In one sentence that names the part; nothing is left behind."""
    spoil(collection)
    status, printed, complaint = run("import", "--from", collection, "--trust")

    assert (status, printed) == (1, None)
    assert sentence in complaint and complaint.count("\n") == 1
    assert current_version(index) is None
    assert not list((index / "versions").glob("*")) and not list((index / "versions").glob(".*"))


def test_what_a_killed_import_left_is_cleared_away(run, index, collection):
    """The next one begins again."""
    leftover = index / "versions" / ".building-import"
    leftover.mkdir(parents=True)
    (leftover / "rows.sqlite").write_bytes(b"half")
    status, summary, _ = run("import", "--from", collection)

    assert (status, summary["size"]) == (0, 5)
    assert [entry.name for entry in (index / "versions").iterdir()] == [summary["version"]]


def test_pictures_at_the_root_of_a_file_system(run, index, tmp_path):
    """Paths that share nothing but their first slash are below it."""
    write_part(tmp_path / "set", "0", unit(2), [{"image_path": "/no-such-a/1.png"}, {"image_path": "/no-such-b/2.png"}])
    assert run("import", "--from", tmp_path / "set")[0] == 0
    reader = open_current(index)
    assert (str(reader.images_root), [row.path for row in reader.rows()]) == (
        "/",
        ["no-such-a/1.png", "no-such-b/2.png"],
    )
    reader.close()


def test_rows_without_a_usable_path_are_skipped(run, index, tmp_path):
    """With their reasons; of two rows with one path the first counts."""
    paths = ["x/a.png", None, "../../out.png", "x/b.png", "./x/a.png"]
    write_part(tmp_path / "set", "0", unit(5), [{"image_path": path} for path in paths])
    status, summary, _ = run("import", "--from", tmp_path / "set")

    assert (status, summary["size"]) == (0, 2)
    assert [(file["path"], file["reason"].split(" ")[0]) for file in summary["skipped_files"]] == [
        ("img_emb_0.npy#1", "It"),
        ("img_emb_0.npy#2", "Its"),
        ("x/a.png", "The"),
    ]


def test_parts_are_read_by_their_numbers(run, index, tmp_path):
    """Older collections have numbers without zeros before them."""
    for number in (10, 9):
        write_part(tmp_path / "set", str(number), unit(1, number), [{"image_path": f"x/{number}.png"}])
    assert run("import", "--from", tmp_path / "set")[0] == 0
    reader = open_current(index)
    assert [row.path for row in reader.rows()] == ["9.png", "10.png"]
    reader.close()


def test_other_folders_are_refused(run, collection, tmp_path, images):
    """With what could be read; so is a data set with pictures, without a folder for them."""
    draw(images / "a.png", 1)
    assert "holds no known collection" in run("import", "--from", images)[2]
    pq.write_table(pa.table({"caption": ["a dog"]}), images / "rows.parquet")
    assert "--images must say" in run("import", "--from", images)[2]
    assert "lacks the columns image_data" in run("import", "--from", images, "--images", tmp_path / "out")[2]


def test_an_import_says_in_words_what_it_did(collection, pictures, index, encoder, capsys):
    """Also how many pictures are away."""
    shutil.rmtree(pictures)
    arguments = ["import", "--from", str(collection), "--index", str(index), "--model", "any", "--trust"]
    assert main(arguments, load=lambda _: encoder) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith(f"Published version {current_version(index)} with 5 pictures: 0 encoded, 5 reused")
    assert lines[1] == "5 pictures have no file here: they are found, but cannot be shown."
    assert lines[2] == "Not checked: whether the vectors are those of the model any."


def test_an_index_with_changes_of_its_own_is_left_alone(run, index, collection):
    """What came through the API would be gone from the version that an import makes."""
    (index / "journal").mkdir(parents=True)
    status, _, said = run("import", "--from", collection)
    assert status == 1 and "another folder" in said
