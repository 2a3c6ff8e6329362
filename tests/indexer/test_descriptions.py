"""Captions, tags and times come into an index from files and a captioner, and no picture is encoded again for them."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from imagetext.index import current_version, version_folder
from imagetext.index.verification import sum_file
from imagetext.models.captioner.engine import DecodedCaption
from imagetext.wire.errors import InvalidParameter
from imagetext.wire.search_filter import SearchFilter
from indexer.__main__ import main
from indexer.build import build
from indexer.captioning import BATCH, COMMIT_BATCHES
from indexer.descriptions import Description, Descriptions
from tests.indexer.conftest import draw, open_current
from tests.indexer.fake_encoder import FakeEncoder

TAKEN = datetime(2024, 5, 31, 18, 30, 5)


class FakeCaptioner:
    """Says how bright a picture is; fails on the pictures of these sizes, and after `patience` batches altogether."""

    fingerprint = "captioner-1"
    decoded_side = 64

    def __init__(self, unable=(), patience=10**9):
        self.unable, self.patience, self.pictures = unable, patience, 0

    def prepare(self, picture):
        return np.asarray([*picture.size, np.asarray(picture).mean()])

    def caption(self, inputs, options):
        self.patience -= 1
        if self.patience < 0:
            raise KeyboardInterrupt
        if any(each[0] in self.unable for each in inputs):
            raise RuntimeError("the fake captioner cannot do this one")
        self.pictures += len(inputs)
        return [[DecodedCaption(f"a picture of  brightness {each[2]:.3f}", -0.5, ())] for each in inputs]


def known(index):
    with closing(open_current(index)) as reader:
        return {row.path: (row.taken, row.tags, row.captions) for row in reader.rows()}


def photograph(path, taken="2024:05:31 18:30:05"):
    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769)[0x9003] = taken
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), "red").save(path, exif=exif)


def run(*arguments, encoder=None, captioner=None):
    return main(
        ["build", *map(str, arguments)],
        load=lambda _: encoder or FakeEncoder(),
        load_captioner=lambda _: captioner or FakeCaptioner(),
    )


def test_files_say_when_they_were_taken(images, index, encoder):
    """And go on to be found by it when the file is moved, or copied."""
    photograph(images / "a.jpg")
    draw(images / "b.png", 1)
    build(images, index, encoder)
    assert known(index) == {"a.jpg": (TAKEN, (), ()), "b.png": (None, (), ())}
    (images / "c").mkdir()
    (images / "a.jpg").rename(images / "c/a.jpg")
    assert build(images, index, encoder).encoded == 0

    assert known(index)["c/a.jpg"] == (TAKEN, (), ())


def test_a_flickr_file_gives_captions(images, index, draw_many, tmp_path, capsys):
    """Without any encoding of what is known; the same file once more is no change."""
    draw_many(3)
    file = tmp_path / "captions.token.txt"
    file.write_text("0/0000.png#1\tIt runs .\n0/0000.png#0\tA dog .\n1/0001.png#0\tA cat .\nelse.png#0\tNo .\n")
    encoder = FakeEncoder()
    run("--images", images, "--index", index, encoder=encoder)
    encoded = sum(encoder.batches)
    capsys.readouterr()
    for changed in (True, False):
        assert run("--images", images, "--index", index, "--captions", file, "--json", encoder=encoder) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["changed"], summary["captioned"], summary["unmatched"]) == (changed, 2, 1)

    assert sum(encoder.batches) == encoded
    assert [captions for _, _, captions in known(index).values()] == [("A dog .", "It runs ."), ("A cat .",), ()]
    with closing(open_current(index)) as reader:
        assert reader.matching(SearchFilter(caption="running dogs")).tolist() == [0]


def test_one_file_may_hold_everything(images, index, draw_many, tmp_path):
    """JSON lines; what a field does not say stays, and a later build without files keeps all of it."""
    draw_many(3)
    lines = [
        {"path": "0/0000.png", "tags": ["Dog", "dog", " "], "captions": "A  dog\n.", "taken": "2024-05-31T18:30:05"},
        {"path": "1/0001.png", "captions": ["x\ud800", "x?"]},
        {"path": "0/0000.png", "captions": []},
    ]
    file = tmp_path / "metadata.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    run("--images", images, "--index", index, "--metadata", file)
    draw(images / "new.png", 77)
    run("--images", images, "--index", index)
    file.write_text('{"path": "0/0000.png", "tags": []}')
    run("--images", images, "--index", index, "--metadata", file)

    assert known(index) == {
        "0/0000.png": (TAKEN, (), ()),
        "1/0001.png": (None, (), ("x?",)),
        "2/0002.png": (None, (), ()),
        "new.png": (None, (), ()),
    }


def test_an_object_of_captions_works_too(images, index, draw_many, tmp_path):
    """Picture to captions, as many tools write it; a metadata file beside it has the last word."""
    draw_many(2)
    (tmp_path / "captions.json").write_text('{\n "0/0000.png": ["A dog."],\n "1/0001.png": "A cat."}')
    (tmp_path / "more.jsonl").write_text('{"path": "1/0001.png", "captions": ["A tiger."], "tags": ["cat"]}')
    files = ["--captions", tmp_path / "captions.json", "--metadata", tmp_path / "more.jsonl"]
    run("--images", images, "--index", index, *files)

    assert known(index) == {"0/0000.png": (None, (), ("A dog.",)), "1/0001.png": (None, ("cat",), ("A tiger.",))}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("no captions", "line 1"),
        ("a.png#0\tgood\nbad", "line 2"),
        ('{"path": "a.png"}\n{"path": 7}', "line 2"),
        ('{"path": "a.png"}\n{"path":', "line 2"),
        ('{"path": "a.png", "tag": ["x"]}', "'tag'"),
        ('{"path": "a.png", "tags": [7]}', "line 1"),
        ('{"path": "a.png", "taken": "yesterday"}', "`taken`"),
        ('{"a.png": {"text": "x"}}', "a.png"),
        ('{"elsewhere.png": ["x"]}', "elsewhere.png"),
        ("elsewhere.png#0\tx", "0/0000.png"),
        (b"\xff\xfe\x00", "as text"),
    ],
)
def test_files_that_cannot_be_used_are_an_error(images, index, draw_many, tmp_path, capsys, content, named):
    """One sentence that names the place, and no version."""
    draw_many(1)
    file = tmp_path / "file"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())

    assert run("--images", images, "--index", index, "--metadata", file) == 1
    complaint = capsys.readouterr().err
    assert named in complaint and complaint.count("\n") == 1
    assert current_version(index) is None


def test_new_content_has_no_old_captions(images, index, draw_many):
    """Another picture under the same path is another picture."""
    draw_many(2)
    given = {"0/0000.png": Description(captions=("A dog.",)), "1/0001.png": Description(captions=("A cat.",))}
    build(images, index, FakeEncoder(), descriptions=Descriptions(given))
    draw(images / "0/0000.png", 99)
    build(images, index, FakeEncoder())

    assert [captions for _, _, captions in known(index).values()] == [(), ("A cat.",)]


def test_nothing_for_these_pictures_is_refused(images, index, draw_many):
    """Most likely the paths are meant from another folder."""
    draw_many(1)
    with pytest.raises(InvalidParameter, match=r"such as 0/0000\.png"):
        build(images, index, FakeEncoder(), descriptions=Descriptions({"x.png": Description(tags=("x",))}))


# By a model


def test_a_model_captions_what_has_none(images, index, draw_many, tmp_path):
    """Equal files once; given captions stay; the second time there is nothing to do."""
    draw_many(40)
    (images / "copy.png").write_bytes((images / "3/0003.png").read_bytes())
    (tmp_path / "given.jsonl").write_text('{"path": "0/0000.png", "captions": ["A dog."]}')
    captioner = FakeCaptioner()
    options = ["--images", images, "--index", index, "--captions", "models/some"]
    run(*options, "--metadata", tmp_path / "given.jsonl", captioner=captioner)
    found = known(index)

    assert captioner.pictures == 39
    assert found["0/0000.png"][2] == ("A dog.",)
    brightness = np.asarray(Image.open(images / "3/0003.png")).mean()
    assert found["3/0003.png"][2] == found["copy.png"][2] == (f"a picture of brightness {brightness:.3f}",)
    draw(images / "new.png", 99)
    run(*options, captioner=captioner)
    assert captioner.pictures == 40
    assert sum(bool(captions) for _, _, captions in known(index).values()) == 42


def test_a_picture_that_the_captioner_fails_on_stays_without(images, index, draw_many):
    """It costs the others nothing."""
    draw_many(5)
    draw(images / "odd.png", 50, size=(31, 7))
    captioner = FakeCaptioner(unable={31})
    summary = build(images, index, FakeEncoder(), descriptions=Descriptions(captioner=captioner))

    assert (summary.size, summary.captioned) == (6, 5)
    assert known(index)["odd.png"][2] == ()


def test_an_interrupted_captioner_goes_on(images, index, draw_many):
    """What was captioned is kept as the vectors are, and the end is that of a build in peace."""
    draw_many(5 * BATCH)
    build(images, index.with_name("peace"), FakeEncoder(), descriptions=Descriptions(captioner=FakeCaptioner()))
    with pytest.raises(KeyboardInterrupt):
        build(images, index, FakeEncoder(), descriptions=Descriptions(captioner=FakeCaptioner(patience=4)))
    assert current_version(index) is None
    with closing(sqlite3.connect(index / "work/encoded.sqlite")) as work:
        assert work.execute("SELECT count(*) FROM captions").fetchone() == (COMMIT_BATCHES * BATCH,)
    captioner, encoder = FakeCaptioner(), FakeEncoder()
    build(images, index, encoder, descriptions=Descriptions(captioner=captioner))

    assert (captioner.pictures, encoder.batches) == (BATCH, [])
    rows = [
        sum_file(version_folder(place, current_version(place)) / "rows.sqlite")
        for place in (index, index.with_name("peace"))
    ]
    assert rows[0] == rows[1]
