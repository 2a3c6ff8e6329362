"""The journal: what was acknowledged is there, in order, and nothing half is."""

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from imagetext.index.changes.journal import HEAD_BYTES, JournalReader, segments
from imagetext.index.changes.journal_writer import JournalWriter, prune_journal
from imagetext.index.changes.records import Addition, Over, decode_change, encode_change
from imagetext.wire.errors import NotFound
from tests.imagetext.index.changes import addition, deletion, file_is_whole

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index é"
    folder.mkdir()
    return folder


def paths_of(records):
    return [record.change.picture.path for record in records]


def read_all(index):
    return JournalReader(index, 0).read()


def only_segment(index):
    (start,) = segments(index / "journal")
    return index / "journal" / f"{start:020}.log"


def append_each(index, *paths):
    writer = JournalWriter(index)
    for number, path in enumerate(paths):
        writer.append([addition(index, path, number)])
    return writer


def test_a_change_comes_back_as_it_was(index):
    """With undecodable paths, times, tags, captions, and every bit of the vector."""
    change = addition(index, "a/\udcff \n.jpg", 3, over=Over("ab", 5, 10**19))
    change = replace(change, picture=replace(change.picture, taken=datetime(2020, 5, 1, 10)))
    back = decode_change(encode_change(change))

    assert isinstance(back, Addition)
    assert (back.picture, back.over) == (change.picture, change.over)
    assert back.picture.captions == ("seed 3",)
    assert np.array_equal(back.vector, change.vector)
    assert decode_change(encode_change(deletion("b"))) == deletion("b")


def test_followers_read_what_is_new(index):
    """Two readers that look at different times see the same records in the same order."""
    writer = JournalWriter(index)
    often, rarely = JournalReader(index, 0), JournalReader(index, 0)
    seen = []
    for number in range(6):
        assert writer.append([addition(index, f"{number}.jpg", number)]) == [number + 1]
        assert often.has_news()
        seen += often.read()
        assert not often.has_news()

    assert [record.position for record in seen] == [1, 2, 3, 4, 5, 6]
    assert paths_of(rarely.read()) == paths_of(seen)
    assert paths_of(JournalReader(index, 4).read()) == ["4.jpg", "5.jpg"]


def test_a_record_cut_off_at_any_byte_is_no_record(index):
    """The records before it stay; the next writer cuts it off, and what it writes is read."""
    append_each(index, "a", "b")
    file = only_segment(index)
    whole = file.read_bytes()
    second = whole.rindex(b"ITJ1")
    follower = JournalReader(index, 0)
    for end in range(second, len(whole)):
        file.write_bytes(whole[:end])
        assert paths_of(read_all(index)) == ["a"]
    assert paths_of(follower.read()) == ["a"]
    JournalWriter(index).append([addition(index, "c")])

    assert paths_of(follower.read()) == ["c"]
    assert paths_of(read_all(index)) == ["a", "c"]
    assert [record.position for record in read_all(index)] == [1, 2]
    assert follower.damaged == 0


@pytest.mark.parametrize("end", [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1])
def test_a_first_record_cut_off(index, end):
    """A journal of half a record is empty, and goes on."""
    append_each(index, "a")
    os.truncate(only_segment(index), end)
    assert read_all(index) == []
    JournalWriter(index).append([addition(index, "b")])

    assert paths_of(read_all(index)) == ["b"]


def test_a_flipped_byte_costs_its_own_record_alone(index, caplog):
    """Wherever it is: those before and behind stay, it is logged, and no writer cuts anything off."""
    append_each(index, "a", "b", "c")
    file = only_segment(index)
    whole = file.read_bytes()
    starts = [at for at in range(len(whole)) if whole.startswith(b"ITJ1", at)]
    for at in range(starts[1], starts[2]):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        reader = JournalReader(index, 0)
        assert paths_of(reader.read()) == ["a", "c"]
        assert reader.damaged == 1
    JournalWriter(index).append([addition(index, "d")])

    assert paths_of(read_all(index)) == ["a", "c", "d"]
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("from_end", [1, 20, 200, -1])
def test_a_flipped_byte_in_the_last_record(index, from_end):
    """It may have been acknowledged, so its file is left alone and its number is not given again."""
    append_each(index, "a", "b")
    file = only_segment(index)
    content = bytearray(file.read_bytes())
    content[content.rindex(b"ITJ1") if from_end < 0 else len(content) - from_end] ^= 0x01
    file.write_bytes(content)
    behind = JournalReader(index, 2)  # knew the record before it was damaged
    before = JournalReader(index, 0)
    assert paths_of(before.read()) == ["a"]
    writer = JournalWriter(index)
    (position,) = writer.append([addition(index, "c")])
    writer.append([addition(index, "d")])

    assert position == 3
    assert file.read_bytes() == bytes(content)
    assert paths_of(before.read()) == paths_of(behind.read()) == ["c", "d"]
    assert paths_of(read_all(index)) == ["a", "c", "d"]
    assert before.damaged == 1


def test_writers_take_turns(index):
    """Four writers at once: every record has its own position, and each writer's stay in their order."""
    positions = []

    def write(name):
        writer = JournalWriter(index)
        for number in range(10):
            positions.extend(writer.append([addition(index, f"{name}/{number}/{each}") for each in "xy"]))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paths = paths_of(read_all(index))

    assert sorted(positions) == list(range(1, 81))
    assert len(paths) == 80
    for name in "abcd":
        own = [path for path in paths if path.startswith(name)]
        assert own == [f"{name}/{number}/{each}" for number in range(10) for each in "xy"]


def test_an_addition_without_its_file_is_refused(index):
    """Nothing is written, of the others neither."""
    change = addition(index, "a")
    for file in (index / "added").glob("*/*"):
        file.unlink()
    with pytest.raises(NotFound, match="send it again"):
        JournalWriter(index).append([addition(index, "b"), change])

    assert read_all(index) == []


def test_a_full_disk_leaves_no_half_record(index):
    """What could be written of it is cut off by the next writer."""
    append_each(index, "a")
    probe = (
        "import resource, sys; from pathlib import Path;"
        "from imagetext.index.changes.journal_writer import JournalWriter, prune_journal;"
        "from tests.imagetext.index.changes import addition; import signal;"
        "index = Path(sys.argv[1]); change = addition(index, 'b');"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2);"
        "JournalWriter(index).append([change])"
    )
    limit = only_segment(index).stat().st_size + 30
    ended = subprocess.run([sys.executable, "-c", probe, str(index), str(limit)], cwd=ROOT, capture_output=True)
    assert b"OSError" in ended.stderr
    assert only_segment(index).stat().st_size == limit
    JournalWriter(index).append([addition(index, "c")])

    assert paths_of(read_all(index)) == ["a", "c"]


def test_only_what_nobody_needs_is_removed(index):
    """Rotation begins a new file; those whose records are all merged can go, and positions go on."""
    writer = append_each(index, "a", "b")
    follower = JournalReader(index, 0)
    follower.read()
    assert writer.rotate() == 2
    assert writer.rotate() == 2
    writer.append([addition(index, "c")])
    prune_journal(index, 1)
    assert paths_of(read_all(index)) == ["a", "b", "c"]
    prune_journal(index, 2)

    assert paths_of(read_all(index)) == paths_of(follower.read()) == ["c"]
    assert JournalWriter(index).append([addition(index, "d")]) == [4]
    assert writer.rotate() == 4
    prune_journal(index, 4)
    assert read_all(index) == []
    assert JournalWriter(index).append([addition(index, "e")]) == [5]
    assert paths_of(JournalReader(index, 4).read()) == ["e"]


def test_a_lost_journal_gives_no_number_twice(index):
    """Positions begin behind the one that the published version has merged."""
    assert JournalWriter(index).append([addition(index, "a")], after=17) == [18]
    assert paths_of(JournalReader(index, 17).read()) == ["a"]


def test_killed_writers_lose_nothing_that_they_acknowledged(index):
    """20 times two processes are killed at a random moment: what they said is there, every file whole, nothing half."""
    chance, said, follower, seen = random.Random(3), [], JournalReader(index, 0), []
    command = [sys.executable, "-m", "tests.imagetext.index.journal_process", str(index)]
    for attempt in range(10):
        writers = [
            subprocess.Popen([*command, f"{attempt}{name}", batch], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for name, batch in (("a", "1"), ("b", "3"))
        ]
        said += [writer.stdout.readline() for writer in writers for _ in range(chance.randrange(2, 7))]
        time.sleep(chance.uniform(0, 0.01))
        for writer in writers:
            writer.kill()
            said += writer.communicate()[0].splitlines(keepends=True)
        seen += follower.read()
    said = [line.strip() for line in said if line.endswith("\n")]
    records = read_all(index)
    found = paths_of(records)

    assert len(said) >= 40
    assert set(said) <= set(found)
    assert len(found) == len(set(found)) and paths_of(seen) == found
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    assert all(file_is_whole(index, record.change.picture) for record in records)
    assert follower.damaged == 0
