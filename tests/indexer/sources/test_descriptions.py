"""What is known of pictures beside their pixels is the same wherever they lie, and captions come with their source."""

import json
from contextlib import closing
from datetime import datetime

import pytest

from imagetext.index import picture_id
from imagetext.wire.errors import Unavailable
from indexer.__main__ import main
from indexer.build import build
from indexer.captioning import BATCH
from indexer.descriptions import Description, Descriptions
from indexer.sources import Listing, open_source
from tests.indexer.conftest import content_of, open_current
from tests.indexer.fake_encoder import FakeEncoder
from tests.indexer.sources.conftest import photo, png, sample, write_parquet, write_tar
from tests.indexer.test_descriptions import FakeCaptioner
from tests.indexer.test_merging import Api

PLACES = ("folder", "store", "tar", "parquet")


class Place:
    """The same pictures in any kind of place; `paths` are those of the rows."""

    def __init__(self, kind, folder, bucket):
        self.kind, self.folder, self.bucket = kind, folder / "place", bucket

    def put(self, files):
        """Returns the address."""
        if self.kind == "store":
            return self.bucket(files)
        self.folder.mkdir(exist_ok=True)
        if self.kind == "tar":
            write_tar(self.folder / "0.tar", files)
        elif self.kind == "parquet":
            write_parquet(self.folder / "0.parquet", {"image": list(files.values())})
        else:
            for name, content in files.items():
                (self.folder / name).write_bytes(content)
        return str(self.folder)


@pytest.fixture(params=PLACES)
def place(request, tmp_path, bucket):
    return Place(request.param, tmp_path, bucket)


def rows_of(index):
    with closing(open_current(index)) as reader:
        return reader.rows()


def captions_of(index):
    return {row.path: row.captions for row in rows_of(index)}


def test_times_come_from_the_files(place, index):
    """In the first build, and in the second, which reads nothing of it."""
    address = place.put({"a.jpg": photo(1), "b.png": png(2)})
    first = build(open_source(address), index, FakeEncoder())
    second = build(open_source(address), index, FakeEncoder())

    assert [row.taken for row in rows_of(index)] == [datetime(2024, 5, 31, 18, 30, 5), None]
    assert (first.changed, second.changed) == (True, False)


def test_a_model_captions_pictures_of_any_place(place, index):
    """Equal pictures once, and none again in the next build."""
    number = BATCH + 3
    address = place.put({f"{seed:02}.png": png(seed % (number - 1)) for seed in range(number)} | {"x.png": b"bad"})
    captioner = FakeCaptioner()
    first = build(open_source(address), index, FakeEncoder(), descriptions=Descriptions(captioner=captioner))
    captions = list(captions_of(index).values())
    second = build(open_source(address), index, FakeEncoder(), descriptions=Descriptions(captioner=captioner))

    assert (first.captioned, captioner.pictures, second.changed) == (number, number - 1, False)
    assert captions[0] == captions[-1] and len(set(captions)) == number - 1


def test_captions_of_the_source_are_stored(tmp_path, index):
    """A file of captions says more than they do, and they say more than the version before; a model adds the rest."""
    place = tmp_path / "place"
    write_tar(place / "0.tar", sample("1", 1, "A dog") | sample("2", 2, "A cat") | {"3.png": png(3)})
    captioner = FakeCaptioner()
    given = Descriptions({"0.tar/2.png": Description(captions=("A tiger",))}, captioner)
    build(open_source(str(place)), index, FakeEncoder(), descriptions=given)
    first = captions_of(index)
    unchanged = build(open_source(str(place)), index, FakeEncoder(), descriptions=given)
    write_tar(place / "0.tar", sample("1", 1, "A puppy") | {"2.png": png(2), "3.png": png(3)})
    summary = build(open_source(str(place)), index, FakeEncoder())

    assert (first["0.tar/1.png"], first["0.tar/2.png"]) == (("A dog",), ("A tiger",))
    assert (captioner.pictures, len(first["0.tar/3.png"]), unchanged.changed) == (1, 1, False)
    assert (summary.encoded, summary.changed) == (0, True)
    assert captions_of(index) == first | {"0.tar/1.png": ("A puppy",)}


def test_captions_of_a_parquet_column_are_stored(tmp_path, index):
    """All of a picture."""
    columns = {"image": [png(1), png(2)], "caption": [["A dog", "Two dogs"], []]}
    write_parquet(tmp_path / "place/0.parquet", columns)
    build(open_source(str(tmp_path / "place")), index, FakeEncoder())

    assert list(captions_of(index).values()) == [("A dog", "Two dogs"), ()]


class LostSource:
    """Pictures whose place goes away once they are encoded."""

    def __init__(self, source):
        self._source, self.address = source, source.address

    def list(self):
        return Listing(None, [LostShard(shard) for shard in self._source.list().shards])


class LostShard:
    identity = "lost"

    def __init__(self, shard):
        self._shard, self._reads = shard, 0

    def items(self, wanted):
        self._reads += 1
        if self._reads > 1:
            raise Unavailable("The place where the pictures lie does not answer as it should.")
        return self._shard.items(wanted)


def test_a_place_that_is_away_publishes_nothing_without_captions(tmp_path, index):
    """And nothing is encoded again when it is back."""
    write_tar(tmp_path / "place/0.tar", {"1.png": png(1)})
    source = open_source(str(tmp_path / "place"))
    captions = Descriptions(captioner=FakeCaptioner())
    with pytest.raises(Unavailable):
        build(LostSource(source), index, FakeEncoder(), descriptions=captions)
    summary = build(source, index, FakeEncoder(), descriptions=captions)

    assert (summary.captioned, summary.encoded) == (1, 0)


def test_changes_through_the_api_count_in_any_place(place, tmp_path, index):
    """A deleted picture stays out and is not encoded again; one that was added is kept."""
    address = place.put({f"{seed}.png": png(seed) for seed in range(3)})
    build(open_source(address), index, FakeEncoder())
    paths = [row.path for row in rows_of(index)]
    api = Api(tmp_path, index)
    api.delete(paths[1])
    added = api.add("new/x.png", 50)
    encoder = FakeEncoder()
    summaries = [build(open_source(address), index, encoder) for _ in range(2)]
    content = content_of(index)

    assert [summary.changed for summary in summaries] == [True, False]
    assert encoder.batches == []
    assert set(content) == {paths[0], paths[2], "new/x.png"} and content["new/x.png"][0] == added
    assert picture_id(paths[1]) not in {row.id for row in rows_of(index)}


def test_only_a_folder_is_watched(tmp_path, index, capsys):
    """Refused before the model is loaded."""
    write_tar(tmp_path / "place/0.tar", {"1.png": png(1)})
    arguments = ["build", "--images", str(tmp_path / "place"), "--index", str(index), "--watch"]

    assert main(arguments, load=lambda _: pytest.fail("a model was loaded")) == 1
    assert "--watch works only with a folder" in capsys.readouterr().err


def test_the_command_reads_captions_of_tar_files(tmp_path, index, capsys):
    """With a file of captions that names them by the path of the tar file and the member."""
    write_tar(tmp_path / "place/0.tar", sample("1", 1, "A dog") | sample("2", 2, "A cat"))
    (tmp_path / "given.json").write_text(json.dumps({"0.tar/2.png": ["A tiger"]}))
    arguments = ["--images", tmp_path / "place/*.tar", "--index", index, "--captions", tmp_path / "given.json"]

    assert main(["build", *map(str, arguments)], load=lambda _: FakeEncoder()) == 0
    assert list(captions_of(index).values()) == [("A dog",), ("A tiger",)]
    assert "2 pictures have captions" in capsys.readouterr().out
