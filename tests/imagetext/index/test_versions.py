"""Versions appear whole, are switched atomically, and are pruned without a trace."""

import calendar
import os
import re
import threading
import time
from contextlib import closing

import pytest

from imagetext.index import IndexReader, current_version, list_versions, publish, version_folder
from imagetext.index.versions import new_version, prune_versions, remove_leftovers
from imagetext.wire.errors import IndexVersionError, NotFound


def test_an_index_without_versions_has_no_current_one(tmp_path):
    """A folder that is empty, or not even there."""
    assert current_version(tmp_path / "nowhere") is None
    assert list_versions(tmp_path / "nowhere") == []


def test_publishing_switches_the_current_version(index):
    """Forward, and back again."""
    first, second = index.write(), index.write()
    for version in [first, second, first]:
        publish(index.folder, version)

        assert current_version(index.folder) == version
        assert (index.folder / "CURRENT").read_text() == version + "\n"
    assert sorted(os.listdir(index.folder)) == ["CURRENT", "versions"]


@pytest.mark.parametrize("version", ["20990101T000000Z-abcdef", "../../etc", "", "."])
def test_publishing_what_is_not_there_is_refused(index, version):
    """The current version stays."""
    first = index.write()
    publish(index.folder, first)

    with pytest.raises(NotFound):
        publish(index.folder, version)
    assert current_version(index.folder) == first


@pytest.mark.parametrize("content", [b"", b"latest", b"../../etc/passwd", b"\xff" * 10, b"20990101T000000Z-abcdefg"])
def test_a_damaged_current_file_is_an_error(tmp_path, content):
    """It is never followed to a place outside."""
    (tmp_path / "CURRENT").write_bytes(content)

    with pytest.raises(IndexVersionError, match="CURRENT"):
        current_version(tmp_path)


def test_versions_are_named_by_time_and_sort_by_it(index):
    """Also when several are made in one second."""
    versions = [index.write() for _ in range(4)]

    assert list_versions(index.folder) == versions == sorted(set(versions))
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", version) for version in versions)
    assert abs(time.time() - calendar.timegm(time.strptime(versions[0][:15], "%Y%m%dT%H%M%S"))) < 600


def test_a_clock_that_was_set_back_does_not_disturb_the_order(index):
    """A new version is the newest even if others come from the future."""
    index.write()
    future = index.version_folder("20990101T000000Z-abcdef")
    index.version_folder(list_versions(index.folder)[0]).rename(future)

    assert new_version(index.folder) > future.name


def test_only_finished_versions_are_listed(index):
    """Neither hidden folders, nor empty ones, nor files."""
    version = index.write()
    versions = index.folder / "versions"
    for name in [".building-20990101T000000Z-abcdef", "20990101T000000Z-abcdef", "notes"]:
        (versions / name).mkdir()
    (versions / "20990101T000000Z-aaaaaa").write_text("")

    assert list_versions(index.folder) == [version]


def test_pruning_keeps_the_newest_and_the_current(index):
    """After a rollback the current version may be an old one."""
    versions = [index.write() for _ in range(5)]
    publish(index.folder, versions[0])
    prune_versions(index.folder, 2)

    assert sorted(os.listdir(index.folder / "versions")) == [versions[0], *versions[-2:]]


def test_leftovers_of_killed_builds_are_removed(index):
    """Half versions, half removed versions, and half switches that are older than any switch takes."""
    version = index.write()
    for name in [".building-20990101T000000Z-abcdef", ".removed-20200101T000000Z-abcdef"]:
        (index.folder / "versions" / name / "deep").mkdir(parents=True)
    old, fresh = index.folder / ".CURRENT-0123", index.folder / ".CURRENT-4567"
    old.write_text("x")
    fresh.write_text("x")
    os.utime(old, (1, 1))
    remove_leftovers(index.folder)

    assert os.listdir(index.folder / "versions") == [version]
    assert sorted(os.listdir(index.folder)) == [".CURRENT-4567", "versions"]


def test_readers_always_find_a_whole_version_while_others_are_published(index):
    """Four threads open and search the current version all the time; each answer is that of one whole version."""
    publish(index.folder, index.write(seed=0))
    answers, problems, stop = set(), [], threading.Event()
    query = index.vectors(seed=99)[:1]

    def keep_searching():
        while not stop.is_set():
            try:
                version = current_version(index.folder)
                with closing(IndexReader.open(version_folder(index.folder, version), verify=True)) as reader:
                    answers.add((version, reader.search(query, 5)[0].tobytes()))
            except Exception as error:
                if version in list_versions(index.folder):  # else ten newer ones came meanwhile
                    problems.append(repr(error))
                    return

    threads = [threading.Thread(target=keep_searching) for _ in range(4)]
    for thread in threads:
        thread.start()
    seed = 0
    while seed < 14 or (len(answers) < 2 and not problems):
        seed += 1
        publish(index.folder, index.write(seed=seed))
        prune_versions(index.folder, 10)
    stop.set()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(answers) == len({version for version, _ in answers})


def test_publishing_from_many_threads_leaves_one_whole_name(index):
    """The last one wins; CURRENT is never a mixture and nothing is left beside it."""
    versions = [index.write() for _ in range(4)]
    threads = [threading.Thread(target=publish, args=(index.folder, version)) for version in versions * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert current_version(index.folder) in versions
    assert sorted(os.listdir(index.folder)) == ["CURRENT", "versions"]
