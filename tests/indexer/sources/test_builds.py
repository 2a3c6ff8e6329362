"""A build gives the same rows and vectors wherever the pictures lie."""

from contextlib import closing

import pytest

from imagetext.index import SkippedFile
from imagetext.wire.errors import NotFound, Unavailable
from indexer.build import build
from indexer.encode import WINDOW
from indexer.sources import Listing, open_source
from tests.indexer.conftest import content_of, open_current
from tests.indexer.sources.conftest import png, sample, write_parquet, write_tar

PICTURES = 20


@pytest.fixture(params=["folder", "store", "tar", "parquet"])
def address(request, tmp_path, bucket):
    """PICTURES pictures and a bad one in each kind of place."""
    files = {f"{seed:04}.png": png(seed) for seed in range(PICTURES)} | {"bad.png": b"no picture"}
    place = tmp_path / "place"
    if request.param == "store":
        return bucket(files)
    if request.param == "folder":
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
    elif request.param == "tar":
        write_tar(place / "a.tar", dict(list(files.items())[:7]))
        write_tar(place / "b.tar", dict(list(files.items())[7:]))
    else:
        write_parquet(place / "a.parquet", {"image": list(files.values())})
    return str(place)


def test_the_place_makes_no_difference(address, index, encoder):
    """Content, vectors and skipped pictures are the same; so is the second build, which encodes nothing."""
    first = build(open_source(address), index, encoder)
    content = sorted(content_of(index).values())
    second = build(open_source(address), index, encoder)
    other = index.with_name("other")
    for seed in range(PICTURES):
        (index.parent / "plain").mkdir(exist_ok=True)
        (index.parent / "plain" / f"{seed}.png").write_bytes(png(seed))
    build(index.parent / "plain", other, encoder)

    assert (first.size, first.encoded, len(first.skipped)) == (PICTURES, PICTURES, 1)
    assert (second.changed, second.encoded) == (False, 0)
    assert content == sorted(content_of(other).values())
    with closing(open_current(index)) as reader:
        assert reader.images_address == open_source(address).address


def test_a_changed_tar_file_is_read_again_and_encoded_in_part(tmp_path, index, encoder):
    """Its time has changed, so that every member is hashed; only new content is encoded."""
    write_tar(tmp_path / "place/s.tar", {f"{seed}.png": png(seed) for seed in range(5)})
    build(open_source(str(tmp_path / "place")), index, encoder)
    write_tar(tmp_path / "place/s.tar", {f"{seed}.png": png(seed) for seed in range(6)})
    summary = build(open_source(str(tmp_path / "place")), index, encoder)

    assert (summary.size, summary.encoded) == (6, 1)


def test_tar_files_without_pictures_are_refused(tmp_path, index, encoder):
    """The reason names the first thing that was skipped."""
    write_tar(tmp_path / "place/s.tar", {"1.png": b"bad"})
    with pytest.raises(NotFound, match=r"1 skipped, the first of them s\.tar/1\.png"):
        build(open_source(str(tmp_path / "place")), index, encoder)


class FailingSource:
    """A store that goes away while it is read."""

    address = "lost://bucket"

    def __init__(self, source):
        self._source = source

    def list(self):
        listing = self._source.list()
        return Listing(None, [FailingShard(listing.files)])


class FailingShard:
    identity = "lost"

    def __init__(self, shard):
        self._shard = shard

    def items(self, wanted):
        yield from self._shard.items(wanted)
        raise Unavailable("The place where the pictures lie does not answer as it should.")


def test_a_store_that_fails_stops_the_build_and_costs_no_work(bucket, index, encoder):
    """Its pictures are not taken for missing; the next build encodes what was not encoded yet."""
    number = WINDOW + 40
    source = open_source(bucket({f"{seed:04}.png": png(seed) for seed in range(number)}))
    failing = FailingSource(source)
    with pytest.raises(Unavailable):
        build(failing, index, encoder)
    done = sum(encoder.batches)
    source.address = failing.address
    summary = build(source, index, encoder)

    assert done > 0
    assert (summary.size, summary.encoded) == (number, number - done)


def test_captions_come_along(tmp_path):
    """As the source has them, for what may be done with them later."""
    write_tar(tmp_path / "s.tar", sample("1", 1, "A dog"))
    (shard,) = open_source(str(tmp_path / "s.tar")).list().shards
    (item,) = shard.items(lambda file: True)

    assert not isinstance(item, SkippedFile) and item.captions == ("A dog",)
