"""Captioned pictures in the layout of Flickr8k, and in the merged format."""

from pathlib import Path

import pytest

from imagetext.wire.errors import InvalidParameter
from training.data.records import Record, write_records
from training.dataset import read_captions, read_split


def write(folder: Path, tokens: str, train: str = "a.jpg\n") -> None:
    (folder / "Flickr8k.token.txt").write_text(tokens)
    (folder / "Flickr_8k.trainImages.txt").write_text(train)


def test_captions_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """The order of the lines does not matter, and the known misnamed entry is left out."""
    write(tmp_path, "a.jpg#1\tsecond\na.jpg#0\tfirst\n2258277193_586949ec62.jpg.1#0\tlost\n")

    assert read_captions(tmp_path / "Flickr8k.token.txt") == {"a.jpg": ("first", "second")}
    assert read_split(tmp_path, "train")[0].path == tmp_path / "Images" / "a.jpg"


@pytest.mark.parametrize(
    ("tokens", "train", "sentence"),
    [("a.jpg first", "a.jpg", "Line 1"), ("a.jpg#0\tfirst", "b.jpg", "have no caption, first b.jpg")],
)
def test_broken_lists_are_refused(tmp_path: Path, tokens: str, train: str, sentence: str) -> None:
    """A line of another form and a picture without captions are errors that name them."""
    write(tmp_path, tokens, train)

    with pytest.raises(InvalidParameter, match=sentence):
        read_split(tmp_path, "train")


def test_lemmas_are_no_captions(tmp_path: Path) -> None:
    """Flickr8k's own folder holds a second file of tokens, with every word in its basic form; it is passed over."""
    write(tmp_path, "a.jpg#0\tTwo dogs ran .\n")
    (tmp_path / "Flickr8k.lemma.token.txt").write_text("a.jpg#0\ttwo dog run .\n")

    assert read_split(tmp_path, "train")[0].captions == ("Two dogs ran .",)


def test_a_table_goes_before_lists(tmp_path: Path) -> None:
    """A folder in the merged format is read by its table, whatever else lies in it; all splits of it can be read."""
    write(tmp_path, "a.jpg#0\tIn the list .\n")
    hashes = {"sha256": "0" * 64, "dhash": "0" * 16, "phash": "0" * 16}
    records = [
        Record(f"Images/{split}.jpg", ("In the table .", "Again ."), split, "drawn", width=9, height=9, **hashes)
        for split in ("test", "train")
    ]
    write_records(tmp_path, records)

    for split in ("train", "test"):
        [picture] = read_split(tmp_path, split)
        assert (picture.name, picture.captions) == (f"{split}.jpg", ("In the table .", "Again ."))
        assert picture.path == tmp_path / "Images" / f"{split}.jpg"


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A folder that holds no list says which one it needs."""
    with pytest.raises(InvalidParameter, match=r"\*devImages.txt|token"):
        read_split(tmp_path, "dev")


@pytest.mark.data
def test_the_official_splits(flickr8k: Path) -> None:
    """Six thousand pictures to train on, one thousand to choose by, none in both, five captions each."""
    train, dev = read_split(flickr8k, "train"), read_split(flickr8k, "dev")

    assert (len(train), len(dev)) == (6000, 1000)
    assert not {p.name for p in train} & {p.name for p in dev}
    assert {len(p.captions) for p in (*train, *dev)} == {5}
