"""What came through the API goes into the next version: of a file in the folder and a change, the newer one counts."""

import hashlib
import os
import random
import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from imagetext.index import (
    Collection,
    PictureRow,
    current_version,
    list_versions,
    picture_id,
    publish,
    read_manifest,
    version_folder,
)
from imagetext.index.changes.journal import JournalReader, segments
from imagetext.index.changes.journal_writer import AddedPictures, JournalWriter
from imagetext.index.changes.records import NO_ROW, Addition, Deletion, over
from imagetext.wire.errors import NotFound
from indexer.build import build
from indexer.descriptions import Descriptions
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.test_descriptions import FakeCaptioner


class Api:
    """Changes pictures as the retrieval service does."""

    def __init__(self, folder, index):
        self.folder, self.index, self.encoder = folder, index, FakeEncoder()
        self.writer = JournalWriter(index)

    def collection(self):
        reader = open_current(self.index)
        return Collection.of(reader).changed(JournalReader(self.index, reader.merged).read())

    def paths(self):
        return {row.path for row in self.collection().rows()}

    def add(self, path, seed, captions=None):
        """Returns the sha256 of the picture."""
        file = self.folder / "sent.png"
        draw(file, seed)
        content, id = file.read_bytes(), picture_id(path)
        sha256 = hashlib.sha256(content).hexdigest()
        changed = AddedPictures(self.index).write(id, sha256, content)
        vector = self.encoder.encode_pictures([self.encoder.prepare(Image.open(file))])[0]
        row = PictureRow(NO_ROW, id, path, sha256, len(content), changed, 16, 12)
        row = replace(row, captions=(path,) if captions is None else captions)
        self.writer.append([Addition(row, vector, self.encoder.fingerprint, time.time_ns(), self._over(id))])
        return sha256

    def delete(self, path):
        id = picture_id(path)
        self.writer.append([Deletion(id, path, time.time_ns(), self._over(id))])

    def _over(self, id):
        try:
            return over(self.collection().by_id(id))
        except NotFound:
            return None


@pytest.fixture
def api(tmp_path, images, index):
    for name in ("a.png", "b.png", "c.png"):
        draw(images / name, ord(name[0]))
    build(images, index, FakeEncoder())
    return Api(tmp_path, index)


def built(images, index, encoder=None):
    return build(images, index, encoder or FakeEncoder())


def test_added_pictures_are_kept_without_encoding_them_again(api, images, index):
    """With the vector that came with them, build after build; nothing is left to apply on top."""
    sha256 = api.add("new/x.png", 50)
    before = api.collection()
    encoder = FakeEncoder()
    first = built(images, index, encoder)
    draw(images / "d.png", 4)
    second = built(images, index, FakeEncoder())
    content = content_of(index)

    assert (first.changed, first.size, first.encoded, encoder.batches) == (True, 4, 0, [])
    assert (second.size, second.encoded) == (5, 1)
    assert content["new/x.png"] == (sha256, before.vector(before.by_id(picture_id("new/x.png")).row).tobytes())
    assert api.collection().info == open_current(index).info
    assert (read_manifest(version_folder(index, second.version)).merged) == 1
    assert built(images, index).changed is False


def test_a_deleted_file_stays_out_until_it_changes(api, images, index):
    """Its file is not even read again; a new time of the same content changes nothing; another content does."""
    api.delete("b.png")
    for _ in range(2):
        encoder = FakeEncoder()
        built(images, index, encoder)
        assert set(content_of(index)) == {"a.png", "c.png"} and encoder.batches == []
    os.utime(images / "b.png", (1, 1))
    built(images, index)
    assert set(content_of(index)) == {"a.png", "c.png"}
    draw(images / "b.png", 77)
    built(images, index)

    assert set(content_of(index)) == {"a.png", "b.png", "c.png"}


def test_a_deleted_file_comes_back_when_it_is_added(api, images, index):
    """With what was added; deleted again it is out again."""
    api.delete("b.png")
    built(images, index)
    sha256 = api.add("b.png", 60)
    built(images, index)
    assert content_of(index)["b.png"][0] == sha256
    api.delete("b.png")
    built(images, index)

    assert set(content_of(index)) == {"a.png", "c.png"}


def test_a_replaced_file_counts_less_until_it_changes(api, images, index):
    """Then it counts again, and the added picture is gone."""
    api.add("b.png", 59)
    sha256 = api.add("b.png", 60)
    for _ in range(2):
        built(images, index)
        assert content_of(index)["b.png"][0] == sha256
    draw(images / "b.png", 78)
    built(images, index)
    assert content_of(index)["b.png"][0] == hashlib.sha256((images / "b.png").read_bytes()).hexdigest()
    api.delete("b.png")
    built(images, index)

    assert set(content_of(index)) == {"a.png", "c.png"}


def test_an_added_and_deleted_picture_leaves_nothing(api, images, index):
    """A file that comes into the folder under its name later is indexed."""
    api.add("new.png", 60)
    api.delete("new.png")
    built(images, index)
    draw(images / "new.png", 61)
    os.utime(images / "new.png", (1, 1))
    built(images, index)

    assert "new.png" in content_of(index)


@pytest.mark.parametrize(("age", "wins"), [(-100, False), (100, True)])
def test_a_file_under_the_name_of_an_added_picture(api, images, index, age, wins):
    """Of two that never met, the newer one counts."""
    sha256 = api.add("new.png", 60)
    draw(images / "new.png", 61)
    os.utime(images / "new.png", (time.time() + age,) * 2)
    for _ in range(2):
        built(images, index)
        assert (content_of(index)["new.png"][0] != sha256) is wins


def test_changes_during_a_build_are_not_lost(api, images, index):
    """What is said while it encodes is in the version; what is said behind its position is applied on top."""

    class Interrupted(FakeEncoder):
        def encode_pictures(self, inputs):
            if not self.batches:
                api.add("during.png", 70)
                api.delete("a.png")
            return super().encode_pictures(inputs)

    api.add("before.png", 60)
    draw(images / "d.png", 4)
    built(images, index, Interrupted())
    api.add("after.png", 71)

    assert set(content_of(index)) == {"b.png", "c.png", "d.png", "before.png", "during.png"}
    assert api.paths() == {*content_of(index), "after.png"}


def test_captions_of_added_pictures_stay(api, images, index):
    """In the version they are merged into, and in those after it."""
    api.add("new.png", 7)
    for _ in range(2):
        build(images, index, FakeEncoder())
        assert {row.path: row.captions for row in open_current(index).rows()}["new.png"] == ("new.png",)
        draw(images / "later.png", 99)


def test_every_kept_version_shows_all_that_was_said(api, images, index):
    """Whichever is published: records are kept as long as a version needs them, and no longer."""
    for number in range(5):
        api.add(f"{number}.png", 50 + number)
        if number == 3:
            api.delete("1.png")
        built(images, index)
        draw(images / "d.png", number)
        for version in list_versions(index):
            publish(index, version)
            added = {f"{each}.png" for each in range(number + 1)} - ({"1.png"} if number >= 3 else set())
            assert api.paths() - {"d.png"} == {"a.png", "b.png", "c.png", *added}
        oldest = read_manifest(version_folder(index, list_versions(index)[0])).merged or 0
        assert [record.position for record in JournalReader(index, oldest).read()][:1] in ([], [oldest + 1])
    assert segments(index / "journal")[0] > 1


def test_a_build_from_an_older_version_has_all_changes(api, images, index):
    """Rolled back and built again."""
    api.add("one.png", 50)
    first = built(images, index).version
    api.delete("one.png")
    api.add("two.png", 51)
    api.delete("a.png")
    built(images, index)
    publish(index, first)
    built(images, index)

    assert set(content_of(index)) == {"b.png", "c.png", "two.png"}


def test_another_encoder_encodes_added_pictures_from_their_files(api, images, index):
    """And keeps what was deleted out."""
    api.add("new.png", 50)
    api.delete("a.png")
    encoder = FakeEncoder("other")
    built(images, index, encoder)

    assert set(content_of(index)) == {"b.png", "c.png", "new.png"}
    assert sum(encoder.batches) == 3


def test_a_lost_file_is_skipped_with_its_reason(api, images, index):
    """Where the vector cannot be used and the file is gone, the picture is listed."""
    api.add("new.png", 50)
    for file in (index / "added").glob("*/*"):
        file.write_bytes(b"damaged")
    summary = built(images, index, FakeEncoder("other"))

    assert [(file.path, "added" in file.reason) for file in summary.skipped] == [("new.png", True)]
    assert set(content_of(index)) == {"a.png", "b.png", "c.png"}


def test_a_damaged_current_version_costs_no_change(api, images, index):
    """The version before it and the journal know the same."""
    api.add("one.png", 50)
    built(images, index)
    api.delete("a.png")
    version = built(images, index).version
    for name in ("overrides.jsonl", "manifest.json"):
        (version_folder(index, version) / name).write_text("damaged")
        built(images, index)
        assert set(content_of(index)) == {"b.png", "c.png", "one.png"}
        version = current_version(index)


def test_an_empty_folder_is_no_reason_to_lose_what_was_added(api, images, index):
    """Added pictures alone make a version; with none at all the old one stays."""
    api.add("new.png", 50)
    for file in images.iterdir():
        file.unlink()
    built(images, index)
    assert set(content_of(index)) == {"new.png"}
    api.delete("new.png")
    with pytest.raises(NotFound, match="no readable picture"):
        built(images, index)

    assert api.paths() == set()


def test_files_that_nobody_shows_are_removed(api, images, index):
    """Of replaced and deleted pictures, once no version and no record names them; not while they are new."""
    api.add("new.png", 50)
    api.add("new.png", 51)
    for number in range(4):
        draw(images / "d.png", number)
        built(images, index)
    files = list((index / "added").glob("*/*"))
    assert len(files) == 2
    for file in files:
        os.utime(file, (1, 1))
    draw(images / "d.png", 9)
    built(images, index)
    left = [file.name for file in (index / "added").glob("*/*")]
    row = api.collection().by_id(picture_id("new.png"))

    assert left == [f"{row.id}-{row.sha256}"]


def test_builds_while_pictures_come_and_go(api, images, index):
    """Version after version, with a writer at work all the time: in the end exactly what it said is there."""
    done, kept, versions = threading.Event(), set(), 0

    def change() -> None:
        number = 0
        while not done.is_set():
            api.add(f"new/{number}.png", 100 + number)
            kept.add(f"new/{number}.png")
            if number % 3 == 2:
                api.delete(f"new/{number - 1}.png")
                kept.remove(f"new/{number - 1}.png")
            number += 1

    writer = threading.Thread(target=change)
    writer.start()
    try:
        while versions < 8 or len(kept) < 9:  # whichever of the two is the slower one
            draw(images / "d.png", versions)
            built(images, index)
            versions += 1
    finally:
        done.set()
        writer.join()
    before = api.paths()
    built(images, index)

    assert before == set(content_of(index)) == {"a.png", "b.png", "c.png", "d.png", *kept}


def test_killed_builds_lose_no_change(api, images, index, start, tmp_path):
    """Killed at any moment, before or after they publish: what was said counts, now and in the next version."""
    chance, said = random.Random(8), {"a.png", "b.png", "c.png"}
    whole = start(into=tmp_path / "whole").seconds()
    for number in range(8):
        api.add(f"new/{number}.png", 200 + number)
        said.add(f"new/{number}.png")
        if number % 2:
            api.delete(f"new/{number - 1}.png")
            said.remove(f"new/{number - 1}.png")
        process = start()
        process.wait_for_encoder()
        time.sleep(chance.uniform(0, whole))
        process.kill()
        assert api.paths() == said
    built(images, index)

    assert set(content_of(index)) == said


def test_a_replaced_picture_gets_no_caption_of_the_one_before(api, images, index):
    """The captioner looks into the folder, where the old picture's file still is; the others are captioned."""
    api.add("b.png", 60, captions=())
    summary = build(images, index, FakeEncoder(), descriptions=Descriptions(captioner=FakeCaptioner()))
    said = {row.path: row.captions for row in api.collection().rows()}

    assert (summary.size, summary.captioned) == (3, 2)
    assert said["b.png"] == () and said["a.png"] and said["c.png"]
