"""A build encodes what is new, skips what is bad, and changes the index by one switch."""

import fcntl
import io
import json
import os
import shutil
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagetext.index import (
    IndexOptions,
    SkippedFile,
    current_version,
    list_versions,
    picture_id,
    publish,
    read_manifest,
    read_skipped,
    version_folder,
)
from imagetext.wire.errors import Busy, ModelError, NotFound
from indexer.build import build
from indexer.encode import BATCH
from indexer.publishing import KEPT_VERSIONS
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import NAN, POISON, FakeEncoder
from tests.patience import PATIENCE


class MeetingEncoder(FakeEncoder):
    """Takes two batches at once, and does not begin before there are two; then they have `met`."""

    streams = 2

    def __init__(self) -> None:
        super().__init__()
        self.met = False
        self._meeting = threading.Barrier(2, timeout=PATIENCE)

    def encode_pictures(self, inputs):
        if not self.met:
            self._meeting.wait()
            self.met = True
        return super().encode_pictures(inputs)


def test_a_folder_becomes_a_published_version(images, index, draw_many, encoder):
    """Every picture has its row and its vector, in the order of the paths."""
    draw_many(100)
    summary = build(images, index, encoder)

    assert (summary.changed, summary.size, summary.encoded, summary.reused, summary.skipped) == (True, 100, 100, 0, [])
    assert summary.version == current_version(index)
    with closing(open_current(index)) as reader:
        rows = reader.rows()
        assert [row.path for row in rows] == sorted(f"{seed % 7}/{seed:04}.png" for seed in range(100))
        assert reader.images_root == images
        assert (reader.info.encoder, reader.info.fingerprint) == ("fake", "fake-1")
        for row in rows[::10]:
            status = (images / row.path).stat()
            assert (row.bytes, row.mtime_ns) == (status.st_size, status.st_mtime_ns)
            assert (row.width, row.height) == (16, 12)
            assert row.id == picture_id(row.path)
            vector = FakeEncoder().encode_pictures([encoder.prepare(Image.open(images / row.path))])[0]
            assert np.allclose(reader.vector(row.row), vector, atol=1e-6)


def test_the_model_encodes_in_full_batches(images, index, draw_many, encoder):
    """Only the last batch may be smaller."""
    draw_many(2 * BATCH + 5)
    build(images, index, encoder)

    assert encoder.batches == [BATCH, BATCH, 5]


def test_sizes_are_those_of_the_upright_picture(images, index, encoder):
    """EXIF turns count, and scaled decoding does not."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3000, 2000), "red").save(images / "a.jpg", exif=exif)
    build(images, index, encoder)

    with closing(open_current(index)) as reader:
        assert (reader.row(0).width, reader.row(0).height) == (2000, 3000)


# Reuse


def test_nothing_changed_publishes_nothing(images, index, draw_many, encoder):
    """The second build says so, and encodes and reads nothing."""
    draw_many(5)
    first = build(images, index, encoder)
    for path in images.rglob("*.png"):
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)  # unread, this is not noticed
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = build(images, index, encoder)

    assert (second.changed, second.version, second.size) == (False, first.version, 5)
    assert (second.encoded, second.reused) == (0, 5)
    assert list_versions(index) == [first.version]


def test_new_times_alone_change_nothing(images, index, draw_many, encoder):
    """Files that were copied without their times are hashed again, and found to be the same."""
    draw_many(5)
    first = build(images, index, encoder)
    for path in images.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    second = build(images, index, encoder)

    assert (second.changed, second.version, second.encoded) == (False, first.version, 0)


def test_only_what_is_new_is_encoded(images, index, draw_many, encoder):
    """Added, changed, moved and removed files in one build."""
    draw_many(20)
    build(images, index, encoder)
    before = content_of(index)
    draw(images / "new.png", 1000)
    draw(images / "0/0000.png", 1001)
    (images / "1/0001.png").rename(images / "moved.png")
    (images / "2/0002.png").unlink()
    summary = build(images, index, encoder)
    after = content_of(index)

    assert (summary.changed, summary.size, summary.encoded, summary.reused) == (True, 20, 2, 18)
    assert after["moved.png"] == before["1/0001.png"]
    assert after["0/0000.png"] != before["0/0000.png"]
    assert "2/0002.png" not in after and "1/0001.png" not in after
    assert after["3/0003.png"] == before["3/0003.png"]


def test_a_change_that_keeps_the_size_is_seen_by_its_time(images, index, encoder):
    """The content decides once a file looks different in any way."""
    (images / "a.bmp").write_bytes(bmp("red"))
    build(images, index, encoder)
    before = content_of(index)
    (images / "a.bmp").write_bytes(bmp("blue"))
    os.utime(images / "a.bmp", ns=(1, 1))
    summary = build(images, index, encoder)

    assert (summary.changed, summary.encoded) == (True, 1)
    assert content_of(index) != before


def bmp(colour):
    file = io.BytesIO()
    Image.new("RGB", (10, 10), colour).save(file, "BMP")
    return file.getvalue()


def test_another_encoder_reuses_nothing(images, index, draw_many):
    """Vectors of two models are never mixed, even when the pictures are the same."""
    draw_many(5)
    build(images, index, FakeEncoder("one"))
    summary = build(images, index, FakeEncoder("two"))

    assert (summary.changed, summary.encoded, summary.reused) == (True, 5, 0)
    with closing(open_current(index)) as reader:
        assert reader.info.fingerprint == "two"


def test_equal_files_are_encoded_once(images, index, encoder):
    """Each has its own row with the same vector."""
    draw(images / "a.png", 1)
    for name in ["b.png", "c.png", "d/e.png"]:
        (images / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(images / "a.png", images / name)
    summary = build(images, index, encoder)

    assert (summary.size, summary.encoded, summary.reused) == (4, 1, 3)
    assert len(set(content_of(index).values())) == 1


def test_equal_files_of_different_batches_are_encoded_once(images, index, encoder):
    """Also when the second was read ahead before the first was encoded."""
    for number in range(3 * BATCH):
        draw(images / f"{number:04}.png", number % (BATCH + 8))
    summary = build(images, index, encoder)

    assert (summary.size, summary.encoded, summary.reused) == (3 * BATCH, BATCH + 8, 2 * BATCH - 8)
    assert sum(encoder.batches) == BATCH + 8


def test_batches_side_by_side_give_the_same_index(images, index, draw_many, tmp_path):
    """An encoder that takes two batches at once gets two, and what comes of them is the same, failures included."""
    draw_many(3 * BATCH + 5)
    poisoned = np.full((12, 16, 3), POISON, dtype=np.uint8)
    for name in ("0/poison.png", "5/poison again.png"):
        Image.fromarray(poisoned).save(images / name)
    alone = build(images, tmp_path / "one", FakeEncoder())
    encoder = MeetingEncoder()
    side_by_side = build(images, index, encoder)

    assert content_of(index) == content_of(tmp_path / "one")
    assert (side_by_side.size, side_by_side.encoded) == (alone.size, alone.encoded) == (3 * BATCH + 5, 3 * BATCH + 5)
    assert side_by_side.skipped == alone.skipped
    assert encoder.met


def test_a_moved_folder_is_a_new_version_without_new_work(images, index, draw_many, encoder, tmp_path):
    """The rows are the same, but the pictures are now to be found elsewhere."""
    draw_many(5)
    build(images, index, encoder)
    images.rename(tmp_path / "elsewhere")
    summary = build(tmp_path / "elsewhere", index, encoder)

    assert (summary.changed, summary.encoded, summary.reused) == (True, 0, 5)
    with closing(open_current(index)) as reader:
        assert reader.images_root == tmp_path / "elsewhere"


def test_a_damaged_version_is_not_reused(images, index, draw_many, encoder):
    """Everything is encoded again, and the damage does not spread."""
    draw_many(5)
    first = build(images, index, encoder)
    wanted = content_of(index)
    file = index / "versions" / first.version / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    second = build(images, index, encoder)

    assert (second.changed, second.encoded) == (True, 5)
    assert content_of(index) == wanted


@pytest.mark.parametrize("content", [b"", b"nonsense", b"20990101T000000Z-abcdef\n"])
def test_a_damaged_current_file_is_replaced(images, index, draw_many, encoder, content):
    """A build mends an index whose CURRENT is lost."""
    draw_many(3)
    build(images, index, encoder)
    (index / "CURRENT").write_bytes(content)
    summary = build(images, index, encoder)

    assert summary.changed
    assert current_version(index) == summary.version


# Bad files


def test_bad_files_are_skipped_and_reported(images, index, encoder):
    """Each with its path and the reason, in the summary and in the version; the good ones are indexed."""
    draw(images / "good.png", 1)
    draw(images / "13.png", 2, size=(13, 13))
    (images / "cut.png").write_bytes((images / "good.png").read_bytes()[:-40])
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.jpg").write_bytes(b"hello")
    Image.new("RGB", (8, 8), POISON).save(images / "poison.png")
    Image.new("RGB", (8, 8), NAN).save(images / "nan.png")
    with (images / "large.png").open("wb") as file:
        file.truncate(10**10)
    summary = build(images, index, encoder)

    assert summary.size == 1
    assert summary.skipped == [
        SkippedFile("13.png", "The encoder cannot encode this picture."),
        SkippedFile("cut.png", "The picture is damaged and cannot be decoded."),
        SkippedFile("empty.jpg", "The file is empty."),
        SkippedFile("large.png", "The picture has more than 20,000,000 bytes."),
        SkippedFile("nan.png", "The encoder cannot encode this picture."),
        SkippedFile("poison.png", "The encoder cannot encode this picture."),
        SkippedFile("text.jpg", "This is not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture."),
    ]
    assert read_skipped(index / "versions" / summary.version) == summary.skipped
    with closing(open_current(index)) as reader:
        assert reader.info.skipped == 7


def test_a_picture_that_the_encoder_fails_on_costs_only_itself(images, index, draw_many, encoder):
    """The rest of its batch is encoded one by one."""
    draw_many(10)
    Image.new("RGB", (8, 8), POISON).save(images / "3/poison.png")
    summary = build(images, index, encoder)

    assert summary.size == 10
    assert [file.path for file in summary.skipped] == ["3/poison.png"]
    assert encoder.batches == [1] * 10


def test_the_same_bad_files_are_no_change(images, index, encoder):
    """But a new bad file, or a mended one, is."""
    draw(images / "good.png", 1)
    (images / "bad.png").write_bytes(b"bad")
    build(images, index, encoder)

    again = build(images, index, encoder)
    assert (again.changed, len(again.skipped)) == (False, 1)
    (images / "worse.png").write_bytes(b"worse")
    worse = build(images, index, encoder)
    assert (worse.changed, worse.encoded, len(worse.skipped)) == (True, 0, 2)
    draw(images / "worse.png", 2)
    draw(images / "bad.png", 3)
    mended = build(images, index, encoder)
    assert (mended.changed, mended.size, mended.skipped) == (True, 3, [])


@pytest.mark.parametrize("content", ["nothing", "text", "bad picture", "hidden picture"])
def test_a_folder_without_a_readable_picture_is_refused(images, index, encoder, content):
    """The version that is published stays."""
    draw(images / "a.png", 1)
    version = build(images, index, encoder).version
    (images / "a.png").unlink()
    if content == "text":
        (images / "a.txt").write_text("hello")
    elif content == "bad picture":
        (images / "a.png").write_bytes(b"hello")
    elif content == "hidden picture":
        draw(images / ".a.png", 1)

    with pytest.raises(NotFound, match="no readable picture"):
        build(images, index, encoder)
    assert current_version(index) == version
    assert list_versions(index) == [version]


def test_an_encoder_that_lies_about_itself_is_refused(images, index, draw_many, encoder):
    """Its vectors have another length than it says."""
    draw_many(3)
    encoder.dimensions = 17

    with pytest.raises(ModelError):
        build(images, index, encoder)
    assert list_versions(index) == []


# Names


def test_names_of_any_bytes_survive(images, index, encoder):
    """From the disk through the index and back to the disk."""
    names = [b"\xff\xfe.png", b"a\nb.png", b" .png", "\U0001f415 'd\".png".encode(), b"%00.png", b"dir\xff/\xe9.png"]
    for seed, name in enumerate(names):
        draw(images / os.fsdecode(name), seed)
    (images / os.fsdecode(b"bad\xff\n.png")).write_bytes(b"")
    build(images, index, encoder)

    with closing(open_current(index)) as reader:
        assert [os.fsencode(row.path) for row in reader.rows()] == sorted(names)
        for row in reader.rows():
            assert (reader.images_root / row.path).stat().st_size == row.bytes
            assert reader.by_id(picture_id(row.path)) == row
            row.shown_path.encode()
    version = index / "versions" / current_version(index)
    assert [os.fsencode(file.path) for file in read_skipped(version)] == [b"bad\xff\n.png"]
    assert build(images, index, encoder).changed is False


def test_a_root_of_any_bytes_survives(tmp_path, index, encoder):
    """The folder of pictures may have an undecodable name too."""
    images = tmp_path / os.fsdecode(b"im\xffages \n")
    draw(images / "a.png", 1)
    build(images, index, encoder)

    with closing(open_current(index)) as reader:
        assert reader.images_root == images
        assert (reader.images_root / reader.row(0).path).exists()


def test_a_relative_root_is_stored_absolute(images, index, encoder):
    """The services run elsewhere."""
    draw(images / "a.png", 1)
    here = os.getcwd()
    os.chdir(images.parent)
    try:
        build(Path("images"), Path("index"), encoder)
    finally:
        os.chdir(here)

    with closing(open_current(index)) as reader:
        assert reader.images_root == images


# Versions


def test_the_last_versions_are_kept(images, index, encoder):
    """As many as a rollback may need; the oldest go."""
    versions = []
    for seed in range(KEPT_VERSIONS + 2):
        draw(images / f"{seed}.png", seed)
        versions.append(build(images, index, encoder).version)

    assert list_versions(index) == versions[-KEPT_VERSIONS:]
    assert sorted(os.listdir(index / "versions")) == versions[-KEPT_VERSIONS:]


def test_after_a_rollback_the_older_version_is_the_one_to_compare_with(images, index, encoder):
    """The same folder is then a change again."""
    draw(images / "a.png", 1)
    first = build(images, index, encoder)
    draw(images / "b.png", 2)
    build(images, index, encoder)
    publish(index, first.version)
    again = build(images, index, encoder)

    assert (again.changed, again.size, again.encoded) == (True, 2, 1)


def test_nothing_but_the_layout_is_left(images, index, draw_many, encoder):
    """No work file, no half version; a lock that nobody holds."""
    draw_many(3)
    build(images, index, encoder)

    assert sorted(os.listdir(index)) == [".lock", "CURRENT", "versions"]


def test_what_a_killed_build_left_is_cleared_away(images, index, draw_many, encoder):
    """Half a version, and a version that was half removed."""
    draw_many(3)
    for name in [".building-20200101T000000Z-abcdef", ".removed-20200101T000000Z-abcdef"]:
        (index / "versions" / name).mkdir(parents=True)
        (index / "versions" / name / "vectors.npy").write_bytes(b"half")
    version = build(images, index, encoder).version

    assert os.listdir(index / "versions") == [version]


def test_two_builds_at_the_same_time_are_refused(images, index, draw_many, encoder):
    """The second one, at once and with a sentence."""
    draw_many(3)
    index.mkdir()
    with (index / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(Busy, match="Another build"):
            build(images, index, encoder)
    assert build(images, index, encoder).changed


def test_a_summary_is_one_line_of_json(images, index, encoder):
    """For machines, with every skipped file."""
    draw(images / "a.png", 1)
    (images / "b\udcff\n.png").write_bytes(b"")
    line = build(images, index, encoder).to_json()
    summary = json.loads(line)

    assert "\n" not in line and line.isascii()
    assert summary.pop("seconds") > 0
    assert summary == {
        "changed": True,
        "version": current_version(index),
        "size": 1,
        "encoded": 1,
        "reused": 0,
        "skipped": 1,
        "skipped_files": [{"path": "b\udcff\n.png", "reason": "The file is empty."}],
        "captioned": 0,
        "labelled": 0,
        "unmatched": 0,
    }


def test_a_large_index_is_tuned_on_words_too(images, index, draw_many, encoder):
    """An approximate kind is tuned with the encoder's own texts; vectors and index are the same when built again."""
    draw_many(1_100)
    first = build(images, index, encoder, IndexOptions(kind="ivf", target_recall=0.9))
    assert len(set(encoder.texts)) == len(encoder.texts) > 50
    again = build(images, index.with_name("again"), FakeEncoder(), IndexOptions(kind="ivf", target_recall=0.9))
    manifests = [
        read_manifest(version_folder(place, summary.version))
        for place, summary in ((index, first), (index.with_name("again"), again))
    ]

    assert manifests[0].kind == "ivf" and manifests[0].measured.recall >= 0.9
    assert manifests[0].files["index.faiss"] == manifests[1].files["index.faiss"]
    assert manifests[0].effort == manifests[1].effort
    assert not build(images, index, encoder).changed


def test_a_small_index_needs_no_words(images, index, draw_many, encoder):
    """Exact search has nothing to tune."""
    draw_many(3)
    build(images, index, encoder)

    assert encoder.texts == []
