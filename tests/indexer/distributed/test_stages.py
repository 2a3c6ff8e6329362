"""The stages of a cluster, one after the other in this process, give what an ordinary build gives."""

import pickle
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from imagetext.wire.errors import ModelError, Unavailable
from indexer.build import build
from indexer.distributed.parts import PartFolder, merge
from indexer.distributed.stages import (
    STRETCH,
    EncodingStage,
    KnownContents,
    ShardTask,
    file_shards,
    open_tasks,
    plan,
    read_shard,
)
from indexer.encode import Encoding
from indexer.reading import Preparation
from indexer.sources import FileShard, FoundFile, open_source
from tests.indexer.conftest import content_of, draw, open_current
from tests.indexer.fake_encoder import NAN, POISON, FakeEncoder
from tests.indexer.sources.conftest import photo, png, write_tar


class InTurn:
    """A cluster of one process; counts what it encoded, and stops after `parts` parts."""

    def __init__(self, index, parts=10**9):
        self.index, self.parts, self.encoder = index, parts, FakeEncoder()

    def __call__(self, listing, root, encoder, known, advance):
        folder = PartFolder(self.index, encoder.fingerprint)
        shards, encoded = plan(listing), 0
        stage = EncodingStage(lambda: self.encoder, encoder.fingerprint)
        contents = KnownContents(sorted(known.contents()))
        for task in pickle.loads(pickle.dumps(open_tasks(shards, folder))):
            for stretch in read_shard(task, Preparation.of(encoder), contents):
                if self.parts == 0:
                    raise Unavailable("The Ray cluster did not finish the work.")
                self.parts -= 1
                part = pickle.loads(pickle.dumps(stage(pickle.loads(pickle.dumps(stretch)))))
                encoded += len(part.contents)
                folder.write(part)
                advance(len(part.pictures) + len(part.skipped))
        return Encoding(encoded=encoded).plus(merge([shard.identity for shard in shards], folder, known))


@pytest.fixture
def place(request, tmp_path):
    """Pictures with all kinds of faults, as a folder or as two tar files."""
    files = {f"{seed:04}.png": png(seed % 300) for seed in range(320)} | {"bad.png": b"no picture"}
    files |= {"photo.jpg": photo(500), "photo.json": b'{"caption": "A dog"}'}
    folder = tmp_path / "place"
    if request.param == "tar":
        items = list(files.items())
        write_tar(folder / "a.tar", dict(items[:290]))
        write_tar(folder / "b.tar", dict(items[290:]))
    else:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        Image.new("RGB", (8, 8), POISON).save(folder / "poison.png")
        Image.new("RGB", (8, 8), NAN).save(folder / "nan.png")
        draw(folder / "13.png", 2, size=(13, 13))
    return open_source(str(folder))


def all_said(index):
    """The rows, with metadata and captions."""
    with closing(open_current(index)) as reader:
        rows = reader.rows()
    assert any(row.taken for row in rows)
    return rows


@pytest.mark.parametrize("place", ["folder", "tar"], indirect=True)
def test_the_result_is_that_of_one_process(place, index, encoder):
    """The same rows, vectors and skipped files; equal pictures have equal vectors."""
    one = build(place, index / "one", FakeEncoder())
    many = build(place, index / "many", encoder, encode=InTurn(index / "many"))

    assert (many.size, many.skipped) == (one.size, one.skipped)
    assert all_said(index / "many") == all_said(index / "one")
    ours, theirs = content_of(index / "many"), content_of(index / "one")
    assert {path: sha256 for path, (sha256, _) in ours.items()} == {
        path: sha256 for path, (sha256, _) in theirs.items()
    }
    for path, (_, vector) in ours.items():
        assert np.dot(np.frombuffer(vector, np.float32), np.frombuffer(theirs[path][1], np.float32)) > 0.9999
    assert len({vector for _, vector in ours.values()}) == 301
    assert not (index / "many/work").exists()


@pytest.mark.parametrize("place", ["folder", "tar"], indirect=True)
def test_a_build_goes_on_from_the_parts_that_are_there(place, index, encoder):
    """Only the others are encoded."""
    with pytest.raises(Unavailable):
        build(place, index, encoder, encode=InTurn(index, parts=1))
    rest = InTurn(index)
    summary = build(place, index, encoder, encode=rest)

    assert summary.size == 321
    assert 0 < sum(rest.encoder.batches) < 301 - STRETCH // 8


@pytest.mark.parametrize("place", ["folder", "tar"], indirect=True)
def test_known_contents_are_not_encoded_again(place, index, encoder):
    """Vectors come from the version before, also where shards must be read again."""
    first = build(place, index, encoder)
    second = build(place, index, encoder, encode=InTurn(index))

    assert (second.changed, second.version, second.encoded) == (False, first.version, 0)


def test_a_file_more_changes_one_shard(tmp_path):
    """So that little is done again when the folder has changed between two attempts."""
    names = [f"{seed:05}.png" for seed in range(4_000)]
    before, after = shards_of(tmp_path, names), shards_of(tmp_path, [*names[:7], "00006b.png", *names[7:]])

    assert len(before) > 15
    assert len(before & after) >= len(before) - 3


def shards_of(folder, names):
    files = tuple(FoundFile(name, 1, 1) for name in names)
    return {shard.identity for shard in file_shards(files, FileShard(str(folder), files, len))}


def test_heavy_pictures_make_short_stretches(tmp_path):
    """A task holds a bounded number of bytes, and cuts at the same places every time."""
    write_tar(tmp_path / "s.tar", {f"{seed}.png": png(seed, (150, 150)) for seed in range(10)})
    limit = 3 * len(png(0, (150, 150)))
    (shard,) = open_source(str(tmp_path / "s.tar")).list().shards
    runs = [
        [
            (stretch.number, stretch.last, [ready.picture.file.path for ready in stretch.ready])
            for stretch in read_shard(ShardTask(shard), Preparation.of(FakeEncoder()), KnownContents([]), limit)
        ]
        for _ in range(2)
    ]

    assert runs[0] == runs[1]
    assert [len(paths) for _, _, paths in runs[0]] == [4, 4, 2]
    assert [last for _, last, _ in runs[0]] == [False, False, True]


def test_another_model_on_a_machine_is_refused():
    """Its vectors would be searched without an error and without sense."""
    with pytest.raises(ModelError):
        EncodingStage(lambda: FakeEncoder("other"), "fake-1")


def test_known_contents_are_found_and_no_others():
    """Also those that end in zeros, which NumPy's byte strings do not keep."""
    contents = ["00" * 32, "ab" * 31 + "00", "ff" * 32]
    known = KnownContents(contents)

    assert all(known.size(sha256) for sha256 in contents)
    assert known.size("ab" * 32) is None
    assert KnownContents([]).size("ab" * 32) is None
