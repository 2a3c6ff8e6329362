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
from imagetext.index import current_version, list_versions, verify, version_folder
from imagetext.index.verification import sum_file
from indexer.build import build
from indexer.encode import BATCH, COMMIT_BATCHES
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import FakeEncoder

PICTURES = 24 * BATCH
SHARD = COMMIT_BATCHES * BATCH  # pictures that are kept together


def start(images, index, pause, log=os.devnull):
    root = Path(indexer.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, Path(__file__).parent / "slow_build.py", images, index, str(pause), log],
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


def kept_after_a_kill(index):
    """As kept_vectors, where a kill may have come in the middle of a commit, which SQLite then takes back."""
    if not (index / "work/encoded.sqlite").exists():
        return 0
    with closing(sqlite3.connect(index / "work/encoded.sqlite")) as connection:
        try:
            return connection.execute("SELECT count(*) FROM encoded").fetchone()[0]
        except sqlite3.OperationalError:  # killed before the table was there
            return 0


def wait_for_kept_vectors(index, number):
    deadline = time.monotonic() + 60
    while kept_vectors(index) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_a_build(images, index, kept):
    """Kill a slow build once it would not lose so many vectors any more."""
    process = start(images, index, 0.2)
    wait_for_kept_vectors(index, kept)
    process.kill()
    process.communicate()


@pytest.fixture
def undisturbed(images, draw_many, tmp_path):
    """The content of an index that was built in peace."""
    draw_many(PICTURES)
    build(images, tmp_path / "peace", FakeEncoder())
    return content_of(tmp_path / "peace")


def test_a_killed_build_loses_little_and_shows_nothing(images, index, undisturbed):
    """After kill -9 there is no version, and the next build encodes only what was not kept."""
    kill_a_build(images, index, COMMIT_BATCHES * BATCH)
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


def test_twenty_kills_cost_a_shard_each_at_most(images, index, draw_many, tmp_path):
    """2000 pictures: what a killed build encoded in vain is a shard at most, and in the end the index is the same."""
    draw_many(2_000)
    (images / "bad.png").write_bytes(b"no picture")
    build(images, tmp_path / "peace", FakeEncoder())
    log, chance, kept, lost = tmp_path / "log", random.Random(6), 0, []
    for _ in range(20):
        log.write_text("")
        process = start(images, index, 0.02, log)
        while not log.stat().st_size and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.15))
        process.kill()
        process.communicate()
        if current_version(index) is not None:
            break
        before, kept = kept, kept_after_a_kill(index)
        lost.append(sum(map(int, log.read_text().split())) - (kept - before))
    encoder = FakeEncoder()
    summary = build(images, index, encoder)

    assert max(lost) <= SHARD
    assert len(lost) >= 10 and max(lost) > 0
    assert sum(encoder.batches) == 2_000 - kept
    assert [file.path for file in summary.skipped] == ["bad.png"]
    assert content_of(index) == content_of(tmp_path / "peace")
    assert files_of(index) == files_of(tmp_path / "peace")


def files_of(index):
    """The checksums of the current version's files."""
    folder = version_folder(index, current_version(index))
    return {path.name: sum_file(path) for path in folder.iterdir() if path.name != "manifest.json"}


def test_what_was_read_is_not_read_again(images, index, draw_many):
    """A build that goes on knows the files that it read by their looks, so it encodes again soon."""
    draw_many(PICTURES)
    kill_a_build(images, index, SHARD)
    kept = kept_vectors(index)
    with closing(sqlite3.connect(index / "work/encoded.sqlite")) as work:
        (path,) = work.execute("SELECT path FROM looks JOIN encoded USING (sha256) ORDER BY path").fetchone()
    file = images / os.fsdecode(path)
    looks, size = file.stat(), file.stat().st_size
    file.write_bytes(b"x" * size)  # another content behind the same looks shows that it is not opened
    os.utime(file, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    summary = build(images, index, FakeEncoder())

    assert (summary.size, summary.encoded, summary.skipped) == (PICTURES, PICTURES - kept, [])


def test_a_file_that_changed_after_a_kill_is_read_again(images, index, draw_many):
    """Its looks have changed, so its content is not taken for known."""
    draw_many(PICTURES)
    kill_a_build(images, index, SHARD)
    draw(images / "0" / "0000.png", 10**6)
    build(images, index, FakeEncoder())

    assert content_of(index)["0/0000.png"][0] == sum_file(images / "0" / "0000.png").sha256


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
