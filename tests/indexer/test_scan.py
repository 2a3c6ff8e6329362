"""A scan finds every picture once, follows no circles and opens nothing."""

import os

import pytest

from imagetext.index import SkippedFile
from imagetext.wire.errors import NotFound
from indexer.sources import scan


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def paths(images):
    return [file.path for file in scan(images).files]


def test_finds_pictures_by_suffix_at_any_depth(images):
    """Suffixes in any case; other files are not mentioned at all."""
    for name in ["a.jpg", "b/c.JPEG", "b/d/e.Png", "f.webp", "g.txt", "README", "h.jpg.txt", "jpg"]:
        touch(images / name)
    found = scan(images)

    assert [file.path for file in found.files] == ["a.jpg", "b/c.JPEG", "b/d/e.Png", "f.webp"]
    assert found.skipped == []


def test_the_order_is_that_of_the_paths_bytes(images):
    """The same on every machine, whatever order the disk gives."""
    for name in ["b.jpg", "a/z.jpg", "a.jpg", "ä.jpg", "B.jpg", "a-b.jpg"]:
        touch(images / name)

    assert paths(images) == ["B.jpg", "a-b.jpg", "a.jpg", "a/z.jpg", "b.jpg", "ä.jpg"]


def test_remembers_how_a_file_looked(images):
    """Size and time in nanoseconds."""
    touch(images / "a.jpg", b"12345")
    os.utime(images / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    (file,) = scan(images).files

    assert (file.bytes, file.mtime_ns) == (5, 1_234_567_890_123_456_789)


def test_ignores_what_is_hidden(images):
    """Files and whole folders whose names begin with a dot."""
    for name in [".a.jpg", ".thumbnails/b.jpg", "c/.d/e.jpg", "f.jpg"]:
        touch(images / name)

    assert paths(images) == ["f.jpg"]


def test_names_of_any_bytes_are_found(images):
    """Undecodable bytes, line breaks, spaces, quotes and emoji."""
    names = [b"\xff\xfe.jpg", b"a\nb.jpg", b" .jpg", "\U0001f415 'dog\".jpg".encode(), b"-rf.jpg", b"\\.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(images), name), "wb"):
            pass

    assert [os.fsencode(path) for path in paths(images)] == sorted(names)


def test_follows_links_but_never_in_circles(images):
    """A link to a folder above, to itself, and two that lead to each other."""
    touch(images / "a/b/c.jpg")
    (images / "a/b/up").symlink_to(images)
    (images / "a/here").symlink_to(".")
    (images / "self").symlink_to("self")
    (images / "self.jpg").symlink_to("self.jpg")
    (images / "one").mkdir()
    (images / "two").mkdir()
    (images / "one/two").symlink_to("../two")
    (images / "two/one").symlink_to("../one")
    found = scan(images)

    assert [file.path for file in found.files] == ["a/b/c.jpg"]
    assert [file.path for file in found.skipped] == ["self.jpg"]


def test_a_linked_folder_from_outside_is_walked(images, tmp_path):
    """Once, under the first of its links."""
    touch(tmp_path / "outside/x.jpg")
    (images / "l2").symlink_to(tmp_path / "outside")
    (images / "l1").symlink_to(tmp_path / "outside")

    assert paths(images) == ["l1/x.jpg"]


def test_a_real_path_wins_over_a_link(images):
    """A link that sorts first does not rename what it leads to."""
    touch(images / "z/x.jpg")
    (images / "a").symlink_to("z")

    assert paths(images) == ["z/x.jpg"]


def test_linked_files_are_found(images, tmp_path):
    """A link to a file looks like the file; a broken one is reported."""
    touch(tmp_path / "x.jpg", b"123")
    (images / "good.jpg").symlink_to(tmp_path / "x.jpg")
    (images / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = scan(images)

    assert [(file.path, file.bytes) for file in found.files] == [("good.jpg", 3)]
    assert found.skipped == [SkippedFile("broken.jpg", "The file is missing or cannot be read.")]


def test_pipes_are_reported(images):
    """And not opened, which would wait for ever."""
    os.mkfifo(images / "pipe.jpg")

    assert scan(images).skipped == [SkippedFile("pipe.jpg", "This is not a regular file.")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folders_are_reported(images):
    """The others are still walked."""
    touch(images / "a.jpg")
    touch(images / "locked/b.jpg")
    (images / "locked").chmod(0)
    try:
        found = scan(images)
    finally:
        (images / "locked").chmod(0o755)

    assert [file.path for file in found.files] == ["a.jpg"]
    assert found.skipped == [SkippedFile("locked", "The folder cannot be read.")]


def test_a_folder_too_deep_to_be_read_is_reported(images):
    """Deeper than the system lets a path be; what lies above is found."""
    touch(images / "a.jpg")
    here = os.open(images, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    found = scan(images)

    assert [file.path for file in found.files] == ["a.jpg"]
    assert [file.reason for file in found.skipped] == ["The folder cannot be read."]


@pytest.mark.parametrize("name", ["nowhere", "file.jpg"])
def test_a_root_that_is_no_folder_is_not_found(images, name):
    """The sentence names it."""
    touch(images / "file.jpg")

    with pytest.raises(NotFound, match=name):
        scan(images / name)
