"""Data sets as a whole: splits, leaks, numbers, merging, shards."""

import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from imagetext.wire.errors import InvalidParameter
from training.data.__main__ import main
from training.data.records import (
    Shares,
    bring_picture,
    read_records,
    refuse_repository,
    remove_unfinished,
    write_picture,
)
from training.data.sets import merge
from training.dataset import read_split


def recompressed(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, "JPEG", quality=40)
    return file.getvalue()


def test_splits_follow_from_content() -> None:
    """The shares come out, and a picture stays where it is whatever the others are; more dev takes from train alone."""
    hashes = [sha256(str(number).encode()).hexdigest() for number in range(10_000)]
    shares = Shares(dev=0.1, test=0.05)

    splits = {text: shares.split_of(text) for text in hashes}

    counts = Counter(splits.values())
    assert 900 < counts["dev"] < 1100 and 400 < counts["test"] < 600
    wider = Shares(dev=0.2, test=0.05)
    assert all(wider.split_of(text) == split for text, split in splits.items() if split != "train")


@pytest.mark.parametrize(("dev", "test"), [(-0.1, 0), (0, -0.1), (0.5, 0.5)])
def test_impossible_shares_are_refused(dev: float, test: float) -> None:
    """Something must be left to train on."""
    with pytest.raises(InvalidParameter, match="less than 1"):
        Shares(dev, test)


def test_check_finds_leaks(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """A near-duplicate in another split fails the check and is named; one in the same split does not."""
    write_set(tmp_path / "sound", {"a.jpg": ("train", draw(1)), "b.jpg": ("train", recompressed(draw(1)))})
    write_set(tmp_path / "leaking", {"a.jpg": ("train", draw(1)), "b.jpg": ("dev", recompressed(draw(1)))})
    write_set(tmp_path / "twice", {"a.jpg": ("test", draw(1)), "b.jpg": ("dev", draw(1)), "c.jpg": ("dev", draw(2))})

    assert main(["check", str(tmp_path / "sound")]) == 0
    assert "2 pictures, none in two splits" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "leaking")]) == 1
    assert capsys.readouterr().out == "near-duplicates: Images/a.jpg (train) and Images/b.jpg (dev)\n"
    assert main(["check", str(tmp_path / "twice")]) == 1
    assert capsys.readouterr().out == "identical: Images/a.jpg (test) and Images/b.jpg (dev)\n"


def test_check_reads_the_files(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """With --files, a picture that is gone and one that was changed are found."""
    write_set(tmp_path, {name: ("train", draw(seed)) for seed, name in enumerate(["a.jpg", "b.jpg", "c.jpg"])})
    (tmp_path / "Images" / "a.jpg").unlink()
    (tmp_path / "Images" / "b.jpg").write_bytes(draw(9))

    assert main(["check", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["check", "--files", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Images/a.jpg", "Images/b.jpg"]


def test_statistics_count(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """The numbers are those of the table, as text and as one line of JSON."""
    write_set(tmp_path, {"a.jpg": ("train", draw(1, (80, 60))), "b.jpg": ("dev", draw(2, (100, 200)))})

    assert main(["statistics", "--json", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["pictures"] == 2
    assert found["splits"] == {"train": 1, "dev": 1, "test": 0}
    assert found["captions"] == {"train": 2, "dev": 2, "test": 0}
    assert found["captions_each"]["mean"] == 2
    assert found["words_each"] == {"least": 3, "median": 5, "mean": 5, "most": 7}
    assert found["distinct_words"] == 8
    assert found["shorter_side"]["least"] == 60 and found["shorter_side"]["most"] == 100
    assert (found["sources"], found["licences"]) == ({"drawn": 2}, {"free": 2})
    assert (found["without_author"], found["without_address"]) == (2, 2)
    assert main(["statistics", str(tmp_path)]) == 0
    assert "splits           train 1, dev 1, test 0\n" in capsys.readouterr().out


def test_merge_joins_and_keeps_splits_apart(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """The same picture becomes one with all captions in the split held back; look-alikes leave train; names differ."""
    one, two, into = tmp_path / "one", tmp_path / "two", tmp_path / "into"
    write_set(one, {"same.jpg": ("train", draw(1)), "near.jpg": ("train", draw(2)), "n.jpg": ("train", draw(3))}, "one")
    write_set(two, {"b.jpg": ("dev", draw(1)), "c.jpg": ("test", recompressed(draw(2))), "n.jpg": ("dev", draw(4))})

    assert main(["merge", "--into", str(into), str(one), str(two)]) == 0
    text = capsys.readouterr().out
    assert "Images/near.jpg (train, one)" in text and "1 pictures were there twice" in text

    records = {record.path: record for record in read_records(into)}
    second_n = next(path for path in records if path.startswith("Images/n-"))
    assert {path: record.split for path, record in records.items()} == {
        "Images/same.jpg": "dev",
        "Images/n.jpg": "train",
        "Images/c.jpg": "test",
        second_n: "dev",
    }
    assert records["Images/same.jpg"].captions == (
        "A pattern called same.jpg in one .",
        "A pattern .",
        "A pattern called b.jpg in drawn .",
    )
    assert main(["check", "--files", str(into)]) == 0
    assert (into / "Images" / "n.jpg").is_symlink() and (into / second_n).read_bytes() == draw(4)


def test_merge_adds_to_what_is_there(tmp_path: Path, write_set, draw: Callable[..., bytes]) -> None:
    """Merging into a folder keeps its pictures first; doing so again changes nothing; copies are files."""
    one, two = tmp_path / "one", tmp_path / "two"
    write_set(one, {"a.jpg": ("train", draw(1))})
    write_set(two, {"a.jpg": ("train", draw(2))})

    first = merge(one, [two], copy=True).records
    again = merge(one, [two, one], copy=True)

    assert again.records == first and len(first) == 2
    assert (one / first[0].path).read_bytes() == draw(1)
    assert again.joined == 1
    assert not any((one / record.path).is_symlink() for record in first)


def test_trainings_read_a_merged_folder(tmp_path: Path, write_set, draw: Callable[..., bytes]) -> None:
    """`read_split` gives the pictures of a split in the table's order, and says so when there is none."""
    write_set(tmp_path, {"b.jpg": ("train", draw(1)), "c.jpg": ("dev", draw(2)), "a.jpg": ("train", draw(3))})

    train = read_split(tmp_path, "train")

    assert [picture.name for picture in train] == ["b.jpg", "a.jpg"]
    assert train[0].path.read_bytes() == draw(1)
    assert train[0].captions == ("A pattern called b.jpg in drawn .", "A pattern .")
    with pytest.raises(InvalidParameter, match="no picture of the test split"):
        read_split(tmp_path, "test")
    with pytest.raises(InvalidParameter, match="no split 'val'"):
        read_split(tmp_path, "val")


def test_shards_hold_everything(tmp_path: Path, write_set, draw: Callable[..., bytes], capsys) -> None:
    """Tar files by split with picture, captions and record for each, readable by any tar reader."""
    write_set(tmp_path / "set", {"a.jpg": ("train", draw(1)), "b.jpg": ("dev", draw(2)), "c.jpg": ("train", draw(3))})

    assert main(["shards", str(tmp_path / "set"), "--into", str(tmp_path / "tars")]) == 0

    files = sorted(path.name for path in (tmp_path / "tars").iterdir())
    assert files == ["dev-000000.tar", "train-000000.tar"]
    with tarfile.open(tmp_path / "tars" / "train-000000.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    assert sorted(members) == [f"00000000{number}.{kind}" for number in (0, 1) for kind in ("jpg", "json", "txt")]
    assert members["000000001.jpg"] == draw(3)
    assert members["000000000.txt"].decode().splitlines() == ["A pattern called a.jpg in drawn .", "A pattern ."]
    assert json.loads(members["000000000.json"])["path"] == "Images/a.jpg"


def test_pictures_stay_out_of_repositories(tmp_path: Path) -> None:
    """A folder that git would take is refused, whether it exists or not; an ignored one and one outside are fine."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "repository")], check=True)
    (tmp_path / "repository" / ".gitignore").write_text("data/\n")

    refuse_repository(tmp_path / "repository" / "data")
    refuse_repository(tmp_path / "repository" / "data" / "deep" / "er")
    refuse_repository(tmp_path / "outside")
    for taken in ("pictures", "pictures/deep"):
        with pytest.raises(InvalidParameter, match="does not ignore it"):
            refuse_repository(tmp_path / "repository" / taken)


def test_links_become_copies_when_asked(tmp_path: Path) -> None:
    """Bringing a picture again, the other way, replaces what was there; a picture may be its own source."""
    source, target = tmp_path / "a.jpg", tmp_path / "into" / "a.jpg"
    source.write_bytes(b"dog")

    kinds = []
    for copy in (False, True, True, False):
        bring_picture(source, target, copy=copy)
        kinds.append(target.is_symlink())
        assert target.read_bytes() == b"dog"

    assert kinds == [True, False, False, True]
    bring_picture(source, source, copy=True)
    bring_picture(source, source, copy=False)
    assert source.read_bytes() == b"dog" and not source.is_symlink()


def test_many_threads_may_write_one_picture(tmp_path: Path) -> None:
    """The same file from many addresses at once is whole, and what a killed writer left can be swept."""
    path, data = tmp_path / "Images" / "ab" / "abc.jpg", b"dog" * 100_000

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: write_picture(path, data), range(200)))

    assert path.read_bytes() == data and [one.name for one in path.parent.iterdir()] == ["abc.jpg"]
    path.with_name(".abd.jpg.17.part").write_bytes(b"do")
    remove_unfinished(tmp_path)
    assert [one.name for one in path.parent.iterdir()] == ["abc.jpg"]


def test_errors_are_sentences(tmp_path: Path) -> None:
    """A folder that holds no data set is one sentence on the error stream and exit status 1, as a command too."""
    command = [sys.executable, "-m", "training.data", "statistics", str(tmp_path)]

    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path} holds no pictures.parquet.\n"
