"""Parts appear whole or not at all, and say what was put into them."""

import os
import pickle
from datetime import datetime

import numpy as np
import pytest

from imagetext.index import SkippedFile
from imagetext.pictures import FileMetadata
from indexer.distributed.parts import Part, PartFolder
from indexer.reading import ReadPicture
from indexer.sources import FoundFile


def part(number=0, last=True, shard="ab12", value=1.0):
    metadata = FileMetadata(datetime(2024, 5, 31, 18, 30, 5), ("dog", "Bär"))
    picture = ReadPicture(FoundFile("a/\udcff\n.png", 5, 7), "c0ffee", 5, 16, 12, metadata, ("A dog", "Ein Bär"))
    vectors = np.full((1, 4), value, dtype=np.float32)
    return Part(shard, number, last, [picture], [SkippedFile("b\udcfe", "bad")], ["c0ffee"], vectors)


@pytest.fixture
def folder(index):
    return pickle.loads(pickle.dumps(PartFolder(index, "fake-1")))


def test_a_part_comes_back_as_it_was_written(folder):
    """Names of any bytes, metadata, captions and vectors included."""
    folder.write(part())
    read = folder.read("ab12", 0)

    assert (read.shard, read.number, read.last) == ("ab12", 0, True)
    assert (read.pictures, read.skipped, read.contents) == (part().pictures, part().skipped, ["c0ffee"])
    assert np.array_equal(read.vectors, part().vectors)


def test_a_part_that_is_there_stays(folder, index):
    """A second attempt of the same task changes nothing and leaves nothing."""
    folder.write(part(value=1.0))
    folder.write(part(value=2.0))

    assert folder.read("ab12", 0).vectors[0, 0] == 1.0
    (encoder,) = (index / "work/shards").iterdir()
    assert os.listdir(encoder) == ["part-ab12-00000"]


def test_a_shard_is_complete_with_its_last_part_and_all_before_it(folder):
    """In whatever order they were written."""
    folder.write(part(2, last=True))
    folder.write(part(0, last=False))
    assert not folder.is_complete("ab12")
    assert folder.found() == {"ab12": {0, 2}}
    folder.write(part(1, last=False))
    assert folder.is_complete("ab12")
    assert [read.number for read in folder.parts_of("ab12")] == [0, 1, 2]


def test_parts_of_two_encoders_do_not_meet(folder, index):
    """Their vectors must not be compared."""
    folder.write(part())

    assert PartFolder(index, "fake-2").found() == {}


@pytest.mark.parametrize("file", ["vectors.npy", "rows.json"])
@pytest.mark.parametrize("content", [b"", b"{}", None], ids=["empty", "other", "missing"])
def test_a_damaged_part_is_done_again(folder, index, file, content):
    """It is removed when it is met."""
    folder.write(part())
    (path,) = (index / "work/shards").glob(f"*/part-*/{file}")
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    assert folder.read("ab12", 0) is None
    assert folder.found() == {}


def test_what_a_killed_task_left_is_cleared_away(folder, index):
    """Half a part has another name."""
    folder.write(part())
    (encoder,) = (index / "work/shards").iterdir()
    (encoder / ".part-ab12-00001-00").mkdir()
    folder.clear()

    assert os.listdir(encoder) == ["part-ab12-00000"]
