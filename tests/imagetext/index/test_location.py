"""An index is named by a folder or an address."""

from pathlib import Path

import pytest

from imagetext.index.remote.location import MilvusAddress, StoreAddress, folder_name, parse_location
from imagetext.wire.errors import InvalidParameter


@pytest.mark.parametrize("text", ["data/index", "/a b/é", "C:index", "a:b/c"])
def test_folders(text):
    """Whatever is no address is a folder."""
    assert parse_location(text) == Path(text)


@pytest.mark.parametrize("text", ["s3://bucket/prefix", "memory://x", "file:///mnt/index"])
def test_stores(text):
    """Any scheme of fsspec, and how it is shown."""
    assert parse_location(text + "/") == StoreAddress(text)
    assert str(parse_location(text)) == text


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("milvus+http://host:19530/photos", "http://host:19530"),
        ("milvus+https://host/photos", "https://host"),
        ("milvus+file:data/milvus.db/photos", "data/milvus.db"),
        ("milvus+file:/data/milvus.db/photos", "/data/milvus.db"),
    ],
)
def test_milvus(text, uri):
    """A server or a file, and the collection's alias."""
    assert parse_location(text) == MilvusAddress(uri, "photos")
    assert str(parse_location(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "milvus+http://host:19530",
        "milvus+http://host/a/b",
        "milvus+http://host/9",
        "milvus+http://host/a-b",
        "milvus+file:data/milvus/photos",
        "milvus+ftp://host/photos",
        "milvus+http://me:secret@host/photos",
        "s3://key:secret@bucket/prefix",
    ],
)
def test_impossible_addresses(text):
    """They are refused with a sentence, which repeats no password."""
    with pytest.raises(InvalidParameter) as refused:
        parse_location(text)

    assert "secret" not in refused.value.detail


def test_each_place_has_a_folder_of_its_own():
    """Also where only the signs differ that no name should have."""
    names = [folder_name(StoreAddress(url)) for url in ("s3://bucket/a/b", "s3://bucket/a_b", "s3://../../etc")]

    assert len(set(names)) == 3
    assert names[0].startswith("s3_bucket_a_b-")
    assert not any("/" in name or name.startswith(".") for name in names)
