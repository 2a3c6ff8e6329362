"""A build may be killed at any moment: the index is then whole, and the next build goes on."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import indexer
from imagetext.index import current_version, list_versions, verify
from indexer.build import build
from indexer.encode import BATCH, COMMIT_BATCHES
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import FakeEncoder

PICTURES = 12 * BATCH


def start(images, index, pause):
    root = Path(indexer.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, Path(__file__).parent / "slow_build.py", images, index, str(pause)],
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept_vectors(index):
    """How many vectors a killed build would not lose."""
    try:
        with closing(sqlite3.connect(f"file:{index}/work/encoded.sqlite?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM encoded").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def wait_for_kept_vectors(index, number):
    deadline = time.monotonic() + 60
    while kept_vectors(index) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def undisturbed(images, draw_many, tmp_path):
    """The content of an index that was built in peace."""
    draw_many(PICTURES)
    build(images, tmp_path / "peace", FakeEncoder())
    return content_of(tmp_path / "peace")


def test_a_killed_build_loses_little_and_shows_nothing(images, index, undisturbed):
    """After kill -9 there is no version, and the next build encodes only what was not kept."""
    process = start(images, index, 0.2)
    wait_for_kept_vectors(index, COMMIT_BATCHES * BATCH)
    process.kill()
    process.communicate()
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


def test_builds_killed_at_any_moment_end_in_the_same_index(images, index, undisturbed):
    """Whenever the kill comes, what is visible verifies, and the last build gives what an undisturbed one gives."""
    chance = random.Random(4)
    finished = 0
    for _ in range(12):
        draw(images / "0/0000.png", chance.randrange(10**9))  # so that there is something to build
        process = start(images, index, 0.0)
        time.sleep(chance.uniform(0.2, 1.6))
        process.kill()
        process.communicate()
        finished += process.returncode == 0
        for version in list_versions(index):
            assert verify(index / "versions" / version).version == version
        if current_version(index) is not None:
            open_current(index).close()
    draw(images / "0/0000.png", 0)
    build(images, index, FakeEncoder())

    assert content_of(index) == undisturbed
    assert all(not name.startswith(".") for name in os.listdir(index / "versions"))


def test_a_kill_keeps_the_published_version(images, index, draw_many):
    """A replica goes on with the old version, whole."""
    draw_many(BATCH)
    version = build(images, index, FakeEncoder()).version
    before = content_of(index)
    for seed in range(PICTURES):
        draw(images / f"more/{seed}.png", 10_000 + seed)
    process = start(images, index, 0.2)
    wait_for_kept_vectors(index, 1)
    process.kill()
    process.communicate()

    assert current_version(index) == version
    assert content_of(index) == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "stop"])
def test_an_interrupted_build_says_how_to_go_on(images, index, undisturbed, how):
    """One sentence, status 1, and nothing of what was encoded is lost."""
    process = start(images, index, 0.2)
    wait_for_kept_vectors(index, 1)
    process.send_signal(how)
    output, complaint = process.communicate(timeout=30)

    assert (process.returncode, output) == (1, "")
    assert complaint == "Interrupted. The same command goes on from here.\n"
    assert list_versions(index) == []
    assert build(images, index, FakeEncoder()).encoded < PICTURES
    assert content_of(index) == undisturbed


def test_the_work_of_another_encoder_is_not_taken(images, index, draw_many):
    """A killed build of one model does not feed the build of another."""
    draw_many(PICTURES)
    process = start(images, index, 0.2)
    wait_for_kept_vectors(index, 1)
    process.kill()
    process.communicate()
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


def test_a_second_process_is_refused(images, index, draw_many):
    """While the first one works; the first is not disturbed."""
    draw_many(PICTURES)
    first = start(images, index, 0.1)
    wait_for_kept_vectors(index, 1)
    first.send_signal(signal.SIGSTOP)
    second = start(images, index, 0.0)
    output, complaint = second.communicate(timeout=60)
    first.send_signal(signal.SIGCONT)
    first_output, first_complaint = first.communicate(timeout=60)

    assert (second.returncode, output) == (1, "")
    assert complaint == "Another build is running on this index; wait for its end.\n"
    assert first.returncode == 0, first_complaint
    assert f'"size": {PICTURES}' in first_output
