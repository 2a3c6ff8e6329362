"""Every source tells what pictures there are, gives their content, and says what it leaves out."""

import io
import json
import tarfile
from pathlib import Path

import fsspec
import pytest

from imagetext.index import SkippedFile
from imagetext.wire.errors import InvalidParameter, NotFound
from indexer.arguments import PARQUET, TAR
from indexer.sources import Item, open_source
from tests.indexer.sources.conftest import png, sample, write_parquet, write_tar


def all_of(address, format="auto", wanted=lambda file: True):
    """Everything that a source yields."""
    listing = open_source(str(address), format).list()
    return [*listing.skipped, *(item for shard in listing.all() for item in shard.items(wanted))]


def paths_of(items):
    return [item.file.path for item in items]


def test_a_folder_is_read_as_ever(tmp_path):
    """By its path or as file://, with the path of the folder as its address."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.png").write_bytes(png(1))
    (item,) = all_of(tmp_path)

    assert (item.file.path, item.read()) == ("a/b.png", png(1))
    assert open_source(f"file://{tmp_path}").address == open_source(str(tmp_path)).address == str(tmp_path)
    assert paths_of(all_of(f"file://{tmp_path}")) == ["a/b.png"]


def test_an_object_store_is_walked_like_a_folder(bucket):
    """In the order of the paths, without what is hidden or no picture."""
    address = bucket({"b.png": png(1), "a/c.PNG": png(2), ".x/d.png": png(3), "a/.e.png": png(4), "f.txt": b"text"})
    items = all_of(address)

    assert paths_of(items) == ["a/c.PNG", "b.png"]
    assert [item.read() for item in items] == [png(2), png(1)]
    assert items[0].file.bytes == len(png(2)) and items[0].file.mtime_ns > 10**18
    assert open_source(address).address == "memory:///bucket/album"


def test_an_object_that_has_gone_is_a_missing_picture(bucket):
    """Between the listing and the reading."""
    address = bucket({"a.png": png(1)})
    (item,) = all_of(address)
    fsspec.filesystem("memory").rm("/bucket/album/a.png")

    with pytest.raises(NotFound):
        item.read()


def test_tar_shards_give_pictures_with_their_captions(tmp_path):
    """Captions stand in json or txt under the picture's key, before or after it."""
    write_tar(tmp_path / "s-1.tar", {**sample("0001", 1, "A  dog"), **sample("0002", 2, "A cat")})
    write_tar(
        tmp_path / "s-0.tar",
        {"x/9.png": png(3), "x/9.txt": b"Two\nlines ", "x/10.png": png(4), "x/10.json": b"{broken", "x/11.cls": b"1"},
    )
    items = all_of(tmp_path)

    assert paths_of(items) == ["s-0.tar/x/9.png", "s-0.tar/x/10.png", "s-1.tar/0001.png", "s-1.tar/0002.png"]
    assert [item.captions for item in items] == [("Two lines",), (), ("A dog",), ("A cat",)]
    assert [item.read() for item in items] == [png(3), png(4), png(1), png(2)]
    assert [item.held for item in items] == [len(png(seed)) for seed in (3, 4, 1, 2)]


@pytest.mark.parametrize("pattern", ["s-?.tar", "*.tar", "s-1.tar"])
def test_tar_shards_may_be_named_by_a_pattern(tmp_path, pattern):
    """Paths are relative to the folder that the pattern begins with."""
    write_tar(tmp_path / "s-1.tar", {"a.png": png(1)})
    (tmp_path / "other.png").write_bytes(png(2))

    assert paths_of(all_of(tmp_path / pattern)) == ["s-1.tar/a.png"]
    assert open_source(str(tmp_path / pattern)).address == str(tmp_path)


def test_tar_shards_may_lie_in_an_object_store(bucket, tmp_path):
    """Also below folders, where the format is named."""
    write_tar(tmp_path / "s.tar", sample("1", 1, "A dog"))
    address = bucket({"deep/s.tar": (tmp_path / "s.tar").read_bytes()})

    assert paths_of(all_of(address, TAR)) == ["deep/s.tar/1.png"]
    assert paths_of(all_of(f"{address}/**/*.tar")) == ["deep/s.tar/1.png"]


def test_what_is_not_wanted_is_passed_over(tmp_path):
    """It is listed with its looks and its captions, but its content does not come along."""
    write_tar(tmp_path / "s.tar", {**sample("1", 1, "A dog"), **sample("2", 2, "A cat")})
    first, second = all_of(tmp_path, wanted=lambda file: file.path.endswith("2.png"))

    assert (first.read, first.captions, first.held) == (None, ("A dog",), 0)
    assert second.read() == png(2)


@pytest.mark.parametrize("kept", ["header", "content"])
def test_a_damaged_tar_file_gives_what_comes_before_the_damage(tmp_path, kept):
    """And is itself in the list of what was left out."""
    write_tar(tmp_path / "s.tar", {"1.png": png(1), "2.png": png(2)})
    whole = (tmp_path / "s.tar").read_bytes()
    second = whole.rindex(b"2.png\0")
    cut = whole[: second + 512 + 100] if kept == "content" else whole[:second] + b"\xff" * 512 + whole[second + 512 :]
    (tmp_path / "s.tar").write_bytes(cut)
    first, damage = all_of(tmp_path)

    assert (first.file.path, damage.path) == ("s.tar/1.png", "s.tar")
    assert "damaged" in damage.reason


def test_tar_members_that_cannot_be_rows_are_skipped(tmp_path):
    """A second one of the same name, and one that is too large; nothing is said of links and folders."""
    write_tar(tmp_path / "s.tar", {"1.png": png(1), "large.png": bytes(20_000_001)})
    with tarfile.open(tmp_path / "s.tar", "a") as archive:
        again = tarfile.TarInfo("1.png")
        again.size = len(png(2))
        archive.addfile(again, io.BytesIO(png(2)))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "1.png"
        archive.addfile(link)
    first, large, second = all_of(tmp_path)

    assert first.read() == png(1)
    assert large == SkippedFile("s.tar/large.png", "The picture has more than 20,000,000 bytes.")
    assert second == SkippedFile("s.tar/1.png", "The tar file has a picture of the same name before it.")


@pytest.mark.parametrize("layout", ["bytes", "datasets"])
def test_parquet_rows_give_pictures_with_their_captions(tmp_path, layout):
    """Bytes, or bytes and path; rows are named by their number, across row groups."""
    pictures = [png(seed) for seed in range(6)]
    column = pictures if layout == "bytes" else [{"bytes": picture, "path": "x"} for picture in pictures]
    captions = [f"Picture {seed}" for seed in range(6)] if layout == "bytes" else [["One", "Two "]] * 6
    write_parquet(tmp_path / "p.parquet", {"image": column, "caption": captions, "other": list(range(6))})
    items = all_of(tmp_path)

    assert paths_of(items) == [f"p.parquet/{row:08}" for row in range(6)]
    assert [item.read() for item in items] == pictures
    assert items[3].captions == (("Picture 3",) if layout == "bytes" else ("One", "Two"))


def test_parquet_rows_without_a_picture_are_skipped(tmp_path):
    """So is a whole file without such a column, and one that is damaged."""
    write_parquet(tmp_path / "1.parquet", {"image": [png(1), None], "text": ["a", None]})
    write_parquet(tmp_path / "2.parquet", {"url": ["a"]})
    (tmp_path / "3.parquet").write_bytes(b"PAR1 no more than that")
    picture, empty, other, damaged = all_of(tmp_path, PARQUET)

    assert isinstance(picture, Item)
    assert empty == SkippedFile("1.parquet/00000001", "The row has no picture in it.")
    assert other.path == "2.parquet" and "column of pictures" in other.reason
    assert damaged.path == "3.parquet" and "damaged" in damaged.reason


def test_a_folder_with_pictures_stays_a_folder_of_pictures(tmp_path):
    """A tar file beside pictures or folders is none of them, unless the format says so."""
    write_tar(tmp_path / "backup.tar", {"1.png": png(1)})
    (tmp_path / "a.png").write_bytes(png(2))

    assert paths_of(all_of(tmp_path)) == ["a.png"]
    assert paths_of(all_of(tmp_path, TAR)) == ["backup.tar/1.png"]


def test_shards_are_known_by_their_looks(tmp_path):
    """The same file has the same identity in every run, a changed one another."""
    path = tmp_path / "s.tar"
    write_tar(path, {"1.png": png(1)})
    before = identity(path)
    assert identity(path) == before
    write_tar(path, {"1.png": png(1), "2.png": png(2)})
    assert identity(path) != before


def identity(path):
    (shard,) = open_source(str(path)).list().shards
    return shard.identity


@pytest.mark.parametrize("address", ["nowhere", "nowhere.tar", "no-*.tar", "memory://no/such"])
def test_an_address_with_nothing_behind_it_is_not_found(tmp_path, address):
    """The sentence names it."""
    with pytest.raises(NotFound, match=address.replace("*", r"\*").replace("?", r"\?")):
        open_source(address if "://" in address else str(Path(tmp_path, address)))


@pytest.mark.parametrize("address", ["readme.txt", "nonsense://bucket/x"])
def test_an_address_that_cannot_be_read_is_refused(tmp_path, address):
    """With a sentence that names it."""
    (tmp_path / "readme.txt").write_text(json.dumps("hello"))
    with pytest.raises(InvalidParameter, match=address):
        open_source(address if "://" in address else str(tmp_path / address))
