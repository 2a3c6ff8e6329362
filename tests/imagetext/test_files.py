"""Files are replaced whole or not at all, and locks hold between processes."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagetext.files import fsync_all, locked, locked_if_possible, remove_folder, replacing

HOLDER = """
import sys
from pathlib import Path
from imagetext.files import locked
path = Path(sys.argv[1])
with locked(path, shared=sys.argv[2] == "shared", folder=path.is_dir()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """hold(path, kind) locks a file in another process, until it is killed or the test ends."""
    holders = []

    def start(path: Path, kind: str = "exclusive") -> subprocess.Popen:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        holders.append(holder)
        assert holder.stdout.readline() == b"held\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_replaced(tmp_path, sync):
    """Until the end the old content stays, then only the new one is there."""
    file = tmp_path / "a.txt"
    file.write_text("old")
    with replacing(file, sync=sync) as new:
        new.write_text("new")
        assert file.read_text() == "old"

    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("sync", [False, True])
def test_a_folder_gets_its_name_at_the_end(tmp_path, sync):
    """With everything inside."""
    with replacing(tmp_path / "a", sync=sync) as new:
        (new / "deep").mkdir(parents=True)
        (new / "deep" / "b.txt").write_text("b")
        assert not (tmp_path / "a").exists()

    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a" / "deep" / "b.txt").read_text() == "b"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_after_an_error_nothing_has_changed(tmp_path, error):
    """Neither a file nor a folder is left over."""
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(type(error)), replacing(file) as new:
        new.write_text("ne")
        raise error
    with pytest.raises(type(error)), replacing(tmp_path / "b") as new:
        (new / "deep").mkdir(parents=True)
        raise error

    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_cannot_be_replaced_is_an_error(tmp_path):
    """A folder that is not empty stays, and so does nothing beside it."""
    (tmp_path / "a" / "deep").mkdir(parents=True)
    with pytest.raises(OSError), replacing(tmp_path / "a") as new:
        new.write_text("new")

    assert os.listdir(tmp_path) == ["a"]


def test_two_writers_do_not_disturb_each_other(tmp_path):
    """The last one wins, with its whole content."""
    file = tmp_path / "a.txt"

    def write(letter):
        for _ in range(50):
            with replacing(file) as new:
                new.write_text(letter * 1000)

    writers = [threading.Thread(target=write, args=[letter]) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if file.exists():
            assert file.read_text() in ("a" * 1000, "b" * 1000)
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_removed(tmp_path):
    """With everything inside."""
    (tmp_path / "a" / "deep").mkdir(parents=True)
    fsync_all(tmp_path / "a")
    remove_folder(tmp_path / "a")

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["lock", "folder"])
def test_one_process_holds_an_exclusive_lock(tmp_path, hold, name):
    """Others are refused at once or after a while, and get it when the holder is killed."""
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    holder = hold(path)

    for kind in ({}, {"shared": True}):
        with pytest.raises(BlockingIOError), locked(path, wait=0, folder=path.is_dir(), **kind):
            pass
    began = time.monotonic()
    with pytest.raises(BlockingIOError), locked(path, wait=0.1, folder=path.is_dir()):
        pass
    assert time.monotonic() - began >= 0.1
    holder.kill()
    with locked(path, folder=path.is_dir()):
        pass


def test_a_lock_is_waited_for(tmp_path, hold):
    """As long as it takes, or as long as is asked for."""
    for wait in [{}, {"wait": 60}]:
        holder = hold(tmp_path / "lock")
        threading.Timer(0.1, holder.kill).start()
        with locked(tmp_path / "lock", **wait):
            assert holder.wait(60) != 0


def test_a_shared_lock_has_many_holders(tmp_path, hold):
    """But nobody holds it exclusively meanwhile."""
    path = tmp_path / "lock"
    path.touch()
    hold(path, "shared")

    with locked(path, shared=True, wait=0), pytest.raises(BlockingIOError), locked(path, wait=0):
        pass


def test_a_shared_lock_creates_no_file(tmp_path):
    """So that looking at a folder leaves no trace; without the file, the work goes on if it may."""
    with pytest.raises(FileNotFoundError), locked(tmp_path / "lock", shared=True):
        pass
    with locked_if_possible(tmp_path / "lock", shared=True):
        assert os.listdir(tmp_path) == []
    with pytest.raises(ZeroDivisionError), locked_if_possible(tmp_path / "lock"):
        raise ZeroDivisionError


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path):
    """And so is a missing folder: none is made."""
    with pytest.raises(IsADirectoryError), locked(tmp_path):
        pass
    with pytest.raises(FileNotFoundError), locked(tmp_path / "a", folder=True):
        pass
    assert os.listdir(tmp_path) == []
