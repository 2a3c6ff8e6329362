"""How far a build is can be seen while it runs, and what became of it when it is gone."""

import fcntl
import json
import threading
import time

import pytest

from imagetext.index.versions import build_status
from imagetext.wire.errors import NotFound
from indexer.build import build
from indexer.encode import BATCH
from indexer.publishing import Progress, build_lock, reported
from tests.indexer.conftest import draw
from tests.indexer.fake_encoder import FakeEncoder
from tests.patience import wait_until

PICTURES = 12 * BATCH  # twice as many as are read ahead of a model that is held


def some_are_done(index):
    running = build_status(index).running
    return running is not None and running.done > BATCH


def test_a_running_build_tells_how_far_it_is(index, draw_many, start):
    """Pictures, rate and time left; when it is done nothing is left of it."""
    draw_many(PICTURES)
    process = start(free=4, pause=0.3)
    wait_until(lambda: some_are_done(index))
    seen = build_status(index).running
    process.go_on()
    status, output, complaint = process.end()

    assert status == 0, complaint
    assert json.loads(output)["size"] == PICTURES
    assert (seen.stage, seen.total, seen.error) == ("encoding", PICTURES, None)
    assert seen.done < PICTURES and seen.rate > 0 and seen.eta_s > 0
    assert build_status(index).running is build_status(index).stopped is None
    assert not (index / "build.json").exists()


def test_a_killed_build_is_known_to_be_gone(images, index, draw_many, start):
    """kill -9 leaves the file: nobody takes it for a running build, and the next build replaces it."""
    draw_many(PICTURES)
    process = start(free=4, pause=0.3)
    wait_until(lambda: some_are_done(index))
    process.kill()
    status = build_status(index)
    build(images, index, FakeEncoder())

    assert status.running is None
    assert (status.stopped.stage, status.stopped.total, status.stopped.error) == ("encoding", PICTURES, None)
    assert build_status(index).stopped is None


def test_a_failed_build_leaves_its_reason(images, index):
    """In the sentence that the command prints."""
    (images / "bad.png").write_bytes(b"no picture")
    with pytest.raises(NotFound) as failure:
        build(images, index, FakeEncoder())

    assert build_status(index).running is None
    assert build_status(index).stopped.error == failure.value.detail


def test_a_build_goes_through_its_stages(images, index):
    """In the order in which people wait for them."""
    draw(images / "one.png", 1)
    seen = []

    class Watching(FakeEncoder):
        def encode_pictures(self, inputs):
            seen.append(build_status(index).running.stage)
            return super().encode_pictures(inputs)

    build(images, index, Watching())
    with build_lock(index), reported(index) as progress:
        for stage in ("writing", "tuning", "verifying", "publishing"):
            progress.stage(stage)
            seen.append(build_status(index).running.stage)

    assert seen == ["encoding", "writing", "tuning", "verifying", "publishing"]


def test_the_file_is_written_twice_a_second_at_most(index):
    """However fast the pictures come."""
    index.mkdir()
    seen, began, progress = set(), time.monotonic(), Progress(index)
    progress.stage("encoding", total=10**6)
    while len(seen) < 3:
        progress.advance(1)
        seen.add((index / "build.json").stat().st_mtime_ns)

    assert time.monotonic() - began >= 2 * 0.5


def test_looking_at_the_progress_stops_no_build(index):
    """A look holds the lock for a moment; a build that starts then waits that long."""
    index.mkdir()
    with (index / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        with build_lock(index), reported(index):
            assert build_status(index).running is not None


def test_a_folder_without_room_stops_no_build(index):
    """What cannot be written is not."""
    progress = Progress(index)  # the folder is not there
    progress.stage("encoding", total=3)
    progress.advance(3)

    assert build_status(index).running is None
