"""A folder that is followed: what changes in it is searched soon after."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from imagetext.index.changes.journal_writer import JournalWriter
from indexer.build_command import MERGE_RECORDS, MERGE_S, Pending
from tests.imagetext.index.changes import addition
from tests.indexer.conftest import content_of, draw
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class Watcher:
    """A process that watches; `until` waits for the summary of a build that is as wanted.

    A picture that is not written whole when its folder is looked at is skipped by one build and in the next.
    """

    def __init__(self, images, index):
        command = [sys.executable, "-m", "tests.indexer.watched_build", str(images), str(index)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self._patience = threading.Timer(PATIENCE, self.process.kill)
        self._patience.start()

    def until(self, **wanted):
        while not wanted.items() <= json.loads(self.process.stdout.readline()).items():
            pass

    def complaint(self):
        return self.process.stderr.readline()

    def stop(self, how):
        """The exit status, and what it said last; builds may go on until then."""
        self.process.send_signal(how)
        _, complaint = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaint

    def close(self):
        self._patience.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def watcher(images, index):
    draw(images / "a.png", 1)
    watcher = Watcher(images, index)
    yield watcher
    watcher.close()


def test_changes_of_the_folder_are_followed(watcher, images, index):
    """New files, changed, moved and removed ones, and folders; other files and hidden ones are none; Ctrl-C ends it."""
    watcher.until(size=1)
    (images / "notes.txt").write_text("x")
    draw(images / ".hidden" / "c.png", 3)
    draw(images / "b.png", 2)
    watcher.until(size=2, skipped=0)
    draw(images / "trip" / "d.png", 4)
    watcher.until(size=3)
    before = content_of(index)["a.png"]
    draw(images / "a.png", 5)
    watcher.until(size=3, encoded=1)
    assert content_of(index)["a.png"] != before
    shutil.move(images / "trip", images.parent / "elsewhere")
    (images / "b.png").unlink()
    watcher.until(size=1)

    assert watcher.stop(signal.SIGINT) == (0, "Stopped watching.\n")


def test_a_build_that_fails_is_said_and_tried_again(watcher, images, index):
    """The old version stays meanwhile; also the folder itself may go and come back. Stopping ends it as Ctrl-C does."""
    watcher.until(size=1)
    images.rename(images.parent / "away")
    assert "missing or cannot be read" in watcher.complaint()
    assert set(content_of(index)) == {"a.png"}
    (images.parent / "away").rename(images)
    draw(images / "b.png", 2)
    watcher.until(size=2)

    assert watcher.stop(signal.SIGTERM)[0] == 0


def test_changes_through_the_api_are_merged_after_a_while(tmp_path):
    """A thousand at once, a few after some minutes, none never."""
    now = [0.0]
    pending, writer = Pending(tmp_path, lambda: now[0]), JournalWriter(tmp_path)
    assert not pending.is_due()
    writer.append([addition(tmp_path, "a.png")])
    assert not pending.is_due()
    now[0] = MERGE_S - 1
    assert not pending.is_due()
    now[0] = MERGE_S
    assert pending.is_due()
    change = addition(tmp_path, "b.png")
    now[0] = 0.0
    pending = Pending(tmp_path, lambda: now[0])
    assert not pending.is_due()
    writer.append([change] * MERGE_RECORDS)
    assert pending.is_due()
