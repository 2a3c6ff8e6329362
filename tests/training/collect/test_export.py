"""What was accepted becomes a data set in the merged format."""

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.collect.conftest import SENTENCES
from training.collect.__main__ import main
from training.collect.collection import CollectionFolder
from training.collect.review import Review
from training.data.records import read_records, write_records


def export(collection: CollectionFolder, into: Path, *options: str) -> int:
    return main(["export", "--folder", str(collection.folder), "--into", str(into), *options])


@pytest.fixture
def review(collection: CollectionFolder) -> Review:
    """The first is accepted, the second accepted with other words, the third rejected, the fourth open."""
    review = Review(collection)
    first, second, third, _ = review.pictures
    review.decide(first, "accepted", SENTENCES[0])
    review.decide(second, "accepted", "Two old boats lie in a harbour.")
    review.decide(third, "rejected", SENTENCES[2])
    return review


def test_only_what_was_accepted(collection: CollectionFolder, review: Review, tmp_path: Path) -> None:
    """With the sentence as the person left it, the file's own bytes, licence, author and source."""
    assert export(collection, tmp_path / "out") == 0
    first, second = read_records(tmp_path / "out")
    assert [first.captions, second.captions] == [(SENTENCES[0],), ("Two old boats lie in a harbour.",)]
    assert (first.source, first.licence, first.author) == ("custom", "CC BY-SA 4.0", "Author 0")
    assert first.source_url == "https://commons.example.org/0"
    assert hashlib.sha256((tmp_path / "out" / first.path).read_bytes()).hexdigest() == first.sha256
    assert sorted(path.name for path in (tmp_path / "out" / "Images").iterdir()) == sorted((first.name, second.name))


def test_credits_go_along(collection: CollectionFolder, review: Review, tmp_path: Path) -> None:
    """One row for each picture with the licence's address, as the licences ask for."""
    export(collection, tmp_path / "out")
    with (tmp_path / "out" / "credits.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert [row["author"] for row in rows] == ["Author 0", "Author 1"]
    assert {row["licence_url"] for row in rows} == {"https://creativecommons.org/licenses/by-sa/4.0"}
    assert [row["path"] for row in rows] == [record.path for record in read_records(tmp_path / "out")]


def test_a_second_export_replaces_the_first(collection: CollectionFolder, review: Review, tmp_path: Path) -> None:
    """What is rejected meanwhile is gone, table and file; splits stay as they were."""
    export(collection, tmp_path / "out", "--dev", "0.5")
    before = {record.path: record.split for record in read_records(tmp_path / "out")}
    first, _, third, _ = review.pictures
    review.decide(first, "rejected", "")
    review.decide(third, "accepted", SENTENCES[2])
    export(collection, tmp_path / "out", "--dev", "0.5")

    records = read_records(tmp_path / "out")
    assert {record.captions[0] for record in records} == {"Two old boats lie in a harbour.", SENTENCES[2]}
    assert all(before.get(record.path, record.split) == record.split for record in records)
    assert len(list((tmp_path / "out" / "Images").iterdir())) == 2


def test_splits_are_told_by_content(collection: CollectionFolder, review: Review, tmp_path: Path) -> None:
    """Shares of almost one and of nothing show that the options arrive."""
    export(collection, tmp_path / "a", "--dev", "0.9999")
    export(collection, tmp_path / "b", "--dev", "0")

    assert {record.split for record in read_records(tmp_path / "a")} == {"dev"}
    assert {record.split for record in read_records(tmp_path / "b")} == {"train"}


def test_what_stops_an_export(collection: CollectionFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing accepted, impossible shares, a picture that changed after the review."""
    assert export(collection, tmp_path / "out") == 1
    assert "review it first" in capsys.readouterr().err
    review = Review(collection)
    picture = next(iter(review.pictures.values()))
    review.decide(picture.id, "accepted", "A dog runs.")
    assert export(collection, tmp_path / "out", "--dev", "1") == 1
    assert "shares" in capsys.readouterr().err
    (collection.folder / picture.path).write_bytes(b"another")
    assert export(collection, tmp_path / "out") == 1
    assert "not the picture that was reviewed" in capsys.readouterr().err
    assert not (tmp_path / "out" / "pictures.parquet").exists()


def test_another_data_set_is_never_overwritten(collection: CollectionFolder, review: Review, tmp_path: Path) -> None:
    """A folder with records of another source is refused and stays."""
    export(collection, tmp_path / "out")
    others = [replace(record, source="flickr8k") for record in read_records(tmp_path / "out")]
    write_records(tmp_path / "out", others)

    assert export(collection, tmp_path / "out") == 1
    assert read_records(tmp_path / "out") == others
