"""A build may be killed at any moment: the index is then whole, and the next build goes on."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from imagetext.index import current_version, list_versions, verify, version_folder
from imagetext.index.manifest import sum_file
from indexer.build import build
from indexer.encode import BATCH, COMMIT_BATCHES
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.patience import wait_until

PICTURES = 24 * BATCH
SHARD = COMMIT_BATCHES * BATCH  # pictures that are kept together


def kept_vectors(index):
    """How many vectors a killed build would not lose."""
    try:
        with closing(sqlite3.connect(f"file:{index}/work/encoded.sqlite?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM encoded").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def kept_after_a_kill(index):
    """As kept_vectors, where a kill may have come in the middle of a commit, which SQLite then takes back."""
    if not (index / "work/encoded.sqlite").exists():
        return 0
    with closing(sqlite3.connect(index / "work/encoded.sqlite")) as connection:
        try:
            return connection.execute("SELECT count(*) FROM encoded").fetchone()[0]
        except sqlite3.OperationalError:  # killed before the table was there
            return 0


def stopped_with(index, start, kept):
    """A build that has kept so many vectors, and is held before it encodes all."""
    free = kept // BATCH + COMMIT_BATCHES
    build = start(free=free)
    build.wait_for_batches(free + 1)
    wait_until(lambda: kept_vectors(index) >= kept)
    return build


@pytest.fixture
def undisturbed(images, draw_many, tmp_path):
    """The content of an index that was built in peace."""
    draw_many(PICTURES)
    build(images, tmp_path / "peace", FakeEncoder())
    return content_of(tmp_path / "peace")


def test_a_killed_build_loses_little_and_shows_nothing(images, index, undisturbed, start):
    """After kill -9 there is no version, and the next build encodes only what was not kept."""
    stopped_with(index, start, SHARD).kill()
    kept = kept_vectors(index)
    assert 0 < kept < PICTURES
    assert current_version(index) is None
    assert list_versions(index) == []
    encoder = FakeEncoder()
    summary = build(images, index, encoder)

    assert (summary.size, summary.encoded, summary.reused) == (PICTURES, PICTURES - kept, kept)
    assert sum(encoder.batches) == PICTURES - kept
    assert content_of(index) == undisturbed
    assert sorted(os.listdir(index)) == [".lock", "CURRENT", "versions"]


def test_builds_killed_at_any_moment_end_in_the_same_index(images, index, undisturbed, start, tmp_path):
    """Whenever the kill comes, what is visible verifies, and the last build gives what an undisturbed one gives."""
    chance, whole = random.Random(4), start(into=tmp_path / "whole").seconds()
    for _ in range(12):
        draw(images / "0/0000.png", chance.randrange(10**9))  # so that there is something to build
        process = start()
        process.wait_for_encoder()
        time.sleep(chance.uniform(0, whole))
        process.kill()
        for version in list_versions(index):
            assert verify(index / "versions" / version).version == version
        if current_version(index) is not None:
            open_current(index).close()
    draw(images / "0/0000.png", 0)
    build(images, index, FakeEncoder())

    assert content_of(index) == undisturbed
    assert all(not name.startswith(".") for name in os.listdir(index / "versions"))


def test_twenty_kills_cost_a_shard_each_at_most(images, index, draw_many, tmp_path, start):
    """2000 pictures: what a killed build encoded in vain is a shard at most, and in the end the index is the same."""
    draw_many(2_000)
    (images / "bad.png").write_bytes(b"no picture")
    build(images, tmp_path / "peace", FakeEncoder())
    chance, kept, lost = random.Random(6), 0, []
    for _ in range(20):
        free = chance.randrange(2 * COMMIT_BATCHES)
        process = start(free=free)
        process.wait_for_batches(free + 1)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        before, kept = kept, kept_after_a_kill(index)
        lost.append(sum(process.batches()) - (kept - before))
    assert current_version(index) is None
    encoder = FakeEncoder()
    summary = build(images, index, encoder)

    assert 0 < max(lost) <= SHARD
    assert sum(encoder.batches) == 2_000 - kept < 2_000
    assert [file.path for file in summary.skipped] == ["bad.png"]
    assert content_of(index) == content_of(tmp_path / "peace")
    assert files_of(index) == files_of(tmp_path / "peace")


def files_of(index):
    """The checksums of the current version's files."""
    folder = version_folder(index, current_version(index))
    return {path.name: sum_file(path) for path in folder.iterdir() if path.name != "manifest.json"}


def test_what_was_read_is_not_read_again(images, index, draw_many, start):
    """A build that goes on knows the files that it read by their looks, so it encodes again soon."""
    draw_many(PICTURES)
    stopped_with(index, start, SHARD).kill()
    kept = kept_vectors(index)
    with closing(sqlite3.connect(index / "work/encoded.sqlite")) as work:
        (path,) = work.execute("SELECT path FROM looks JOIN encoded USING (sha256) ORDER BY path").fetchone()
    file = images / os.fsdecode(path)
    looks, size = file.stat(), file.stat().st_size
    file.write_bytes(b"x" * size)  # another content behind the same looks shows that it is not opened
    os.utime(file, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    summary = build(images, index, FakeEncoder())

    assert (summary.size, summary.encoded, summary.skipped) == (PICTURES, PICTURES - kept, [])


def test_a_file_that_changed_after_a_kill_is_read_again(images, index, draw_many, start):
    """Its looks have changed, so its content is not taken for known."""
    draw_many(PICTURES)
    stopped_with(index, start, SHARD).kill()
    draw(images / "0" / "0000.png", 10**6)
    build(images, index, FakeEncoder())

    assert content_of(index)["0/0000.png"][0] == sum_file(images / "0" / "0000.png").sha256


def test_a_kill_keeps_the_published_version(images, index, draw_many, start):
    """A replica goes on with the old version, whole."""
    draw_many(BATCH)
    version = build(images, index, FakeEncoder()).version
    before = content_of(index)
    for seed in range(PICTURES):
        draw(images / f"more/{seed}.png", 10_000 + seed)
    stopped_with(index, start, 1).kill()

    assert current_version(index) == version
    assert content_of(index) == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "stop"])
def test_an_interrupted_build_says_how_to_go_on(images, index, undisturbed, start, how):
    """One sentence, status 1, and nothing of what was encoded is lost."""
    process = stopped_with(index, start, 1)
    process.process.send_signal(how)
    process.go_on()

    assert process.end() == (1, "", "Interrupted. Run the same command again to continue.\n")
    assert list_versions(index) == []
    assert build(images, index, FakeEncoder()).encoded < PICTURES
    assert content_of(index) == undisturbed


def test_the_work_of_another_encoder_is_not_taken(images, index, draw_many, start):
    """A killed build of one model does not feed the build of another."""
    draw_many(PICTURES)
    stopped_with(index, start, 1).kill()
    summary = build(images, index, FakeEncoder("other"))

    assert summary.encoded == PICTURES


@pytest.mark.parametrize("content", [b"", b"this is no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_work_file_is_thrown_away(images, index, draw_many, encoder, content):
    """The build starts over instead of failing."""
    draw_many(3)
    (index / "work").mkdir(parents=True)
    (index / "work" / "encoded.sqlite").write_bytes(content)
    summary = build(images, index, encoder)

    assert summary.encoded == 3
    assert not (index / "work").exists()


def test_a_second_process_is_refused(draw_many, start):
    """While the first one works; the first is not disturbed."""
    draw_many(PICTURES)
    first = start(free=1)
    first.wait_for_batches(2)

    assert start().end() == (1, "", "Another build is running on this index; wait until it has ended.\n")
    first.go_on()
    status, output, complaint = first.end()
    assert status == 0, complaint
    assert f'"size": {PICTURES}' in output
