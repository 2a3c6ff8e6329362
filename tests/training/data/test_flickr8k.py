"""Flickr8k as its authors, Kaggle and Karpathy pass it on, into the merged format."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imagetext.wire.errors import InvalidParameter
from training.data.__main__ import main
from training.data.flickr8k import read_caption_file, read_karpathy_splits
from training.data.records import read_records
from training.dataset import read_split

TOKENS = 'a.jpg#1\tA cat , sits .\na.jpg#0\tA cat .\nb.jpg#0\tA "dog" .\n2258277193_586949ec62.jpg.1#0\tLost .\n'
COMMAS = (
    'image,caption\na.jpg,A cat .\na.jpg,"A cat , sits ."\nb.jpg,"A ""dog"" ."\n2258277193_586949ec62.jpg.1,Lost .\n'
)
BARS = (
    "image_name| comment_number| comment\na.jpg| 1| A cat , sits .\na.jpg| 0| A cat .\n"
    'b.jpg| 0   A "dog" .\n2258277193_586949ec62.jpg.1| 0| Lost .\n'
)
KARPATHY = json.dumps(
    {
        "dataset": "flickr8k",
        "images": [
            {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A cat ."}, {"raw": "A cat , sits ."}]},
            {"filename": "b.jpg", "split": "val", "sentences": [{"raw": 'A "dog" .'}]},
        ],
    }
)
CAPTIONS = {"a.jpg": ("A cat .", "A cat , sits ."), "b.jpg": ('A "dog" .',)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Flickr8k.token.txt", TOKENS),
        ("captions.txt", COMMAS),
        ("captions.txt", COMMAS.replace("\n", "\r\n")),
        ("captions.txt", BARS),
        ("dataset_flickr8k.json", KARPATHY),
    ],
)
def test_every_form_gives_the_same_captions(tmp_path: Path, name: str, text: str) -> None:
    """The forms differ in separators, quotes and numbers, not in what they say; the misnamed picture is left out."""
    (tmp_path / name).write_bytes(text.encode())

    assert read_caption_file(tmp_path / name) == CAPTIONS


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("captions.txt", "a.jpg,A cat .\n", "does not begin with the line image,caption"),
        ("captions.txt", "image,caption\na.jpg,A cat .\nb.jpg\n", "Line 3 of captions.txt"),
        ("captions.txt", "image_name| comment_number| comment\na.jpg| one| A cat .\n", "Line 2 of captions.txt"),
        ("Flickr8k.token.txt", "a.jpg#0\tA cat .\na.jpg 1\tA cat .\n", "Line 2 of Flickr8k.token.txt"),
        ("dataset_flickr8k.json", "{}", "not in the form of Karpathy's"),
        ("dataset_flickr8k.json", "not json", "not in the form of Karpathy's"),
    ],
)
def test_broken_captions_are_refused(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    """A line that does not fit its file's form is an error with its number."""
    (tmp_path / name).write_text(text)

    with pytest.raises(InvalidParameter, match=sentence):
        read_caption_file(tmp_path / name)


def test_karpathys_splits_have_our_names(tmp_path: Path) -> None:
    """His "val" is dev and his "restval" train; another name is an error."""
    file = tmp_path / "dataset_flickr8k.json"
    file.write_text(KARPATHY)
    assert read_karpathy_splits(file) == {"train": ["a.jpg"], "dev": ["b.jpg"], "test": []}
    file.write_text(KARPATHY.replace("val", "restval"))
    assert read_karpathy_splits(file)["train"] == ["a.jpg", "b.jpg"]
    file.write_text(KARPATHY.replace("val", "validation"))
    with pytest.raises(InvalidParameter, match="unknown split 'validation'"):
        read_karpathy_splits(file)


def lay_out(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_the_authors_layout(tmp_path: Path, draw: Callable[..., bytes], capsys) -> None:
    """Text and pictures in folders of their own, lemmas beside the captions, pictures in no split: all as published."""
    source = lay_out(
        tmp_path / "source",
        {
            "Flickr8k_text/Flickr8k.token.txt": TOKENS + "unlisted.jpg#0\tA bird .\n",
            "Flickr8k_text/Flickr8k.lemma.token.txt": "a.jpg#0\ta cat be .\n",
            "Flickr8k_text/Flickr_8k.trainImages.txt": "a.jpg\n",
            "Flickr8k_text/Flickr_8k.devImages.txt": "b.jpg\n",
            "Flicker8k_Dataset/a.jpg": draw(1),
            "Flicker8k_Dataset/b.jpg": draw(2),
            "Flicker8k_Dataset/unlisted.jpg": draw(3),
        },
    )

    assert main(["flickr8k", "--from", str(source), "--into", str(tmp_path / "into")]) == 0

    assert "pictures         2" in capsys.readouterr().out
    train, dev = read_split(tmp_path / "into", "train"), read_split(tmp_path / "into", "dev")
    assert (train[0].captions, dev[0].captions) == (CAPTIONS["a.jpg"], CAPTIONS["b.jpg"])
    assert train[0].path.is_symlink() and train[0].path.read_bytes() == draw(1)
    assert read_records(tmp_path / "into")[0].source == "flickr8k"


def test_kaggles_layout_with_karpathys_splits(tmp_path: Path, draw: Callable[..., bytes]) -> None:
    """Kaggle's copies have no splits; Karpathy's file gives them from wherever it lies, and pictures can be copied."""
    source = lay_out(tmp_path / "source", {"captions.txt": COMMAS, "images/a.jpg": draw(1), "images/b.jpg": draw(2)})
    karpathy = lay_out(tmp_path, {"elsewhere.json": KARPATHY}) / "elsewhere.json"
    command = ["flickr8k", "--from", str(source), "--into", str(tmp_path / "into"), "--copy"]

    assert main([*command, "--karpathy", str(karpathy)]) == 0

    records = read_records(tmp_path / "into")
    assert [(record.name, record.split, record.captions) for record in records] == [
        ("a.jpg", "train", CAPTIONS["a.jpg"]),
        ("b.jpg", "dev", CAPTIONS["b.jpg"]),
    ]
    assert not (tmp_path / "into" / "Images" / "a.jpg").is_symlink()


def test_what_is_missing_is_said(tmp_path: Path, draw: Callable[..., bytes], capsys) -> None:
    """No captions, no splits, no pictures, a missing picture, an uncaptioned one: each has its sentence."""
    source, into = tmp_path / "source", tmp_path / "into"
    command = ["flickr8k", "--from", str(source), "--into", str(into)]

    def complaint(*more: str) -> str:
        assert main([*command, *more]) == 1
        return capsys.readouterr().err

    lay_out(source, {"readme": ""})
    assert "holds no captions" in complaint()
    lay_out(source, {"captions.txt": COMMAS})
    assert "says nothing of splits" in complaint()
    lay_out(source, {"Flickr_8k.trainImages.txt": "a.jpg\nb.jpg\nc.jpg\n"})
    assert "None of the 3 listed pictures" in complaint()
    lay_out(source, {"Images/a.jpg": draw(1), "Images/c.jpg": draw(3)})
    assert "1 listed pictures are not there, first b.jpg" in complaint()
    assert "1 listed pictures have no caption, first c.jpg" in complaint("--allow-missing")
    lay_out(source, {"Flickr_8k.trainImages.txt": "a.jpg\nb.jpg\n", "Flickr_8k.devImages.txt": "a.jpg\n"})
    assert "in two splits" in complaint("--allow-missing")
    lay_out(source, {"Flickr_8k.devImages.txt": ""})
    assert not into.exists()
    assert main([*command, "--allow-missing"]) == 0
    assert [record.name for record in read_records(into)] == ["a.jpg"]


def test_the_drawn_gallery_has_its_own_name(tmp_path: Path, draw: Callable[..., bytes]) -> None:
    """Another data set in the same layout keeps its name and licence, and has no page on Flickr."""
    files = {"captions.token.txt": "scene-1.jpg#0\tA sun .\n", "trainImages.txt": "scene-1.jpg\n"}
    source = lay_out(tmp_path / "source", {**files, "Images/scene-1.jpg": draw(1)})
    command = ["flickr8k", "--from", str(source), "--into", str(tmp_path / "into")]

    assert main([*command, "--source", "drawn", "--licence", "MIT"]) == 0
    [record] = read_records(tmp_path / "into")
    assert (record.source, record.licence, record.source_url) == ("drawn", "MIT", "")

    assert main(command) == 0
    [record] = read_records(tmp_path / "into")
    assert record.source == "flickr8k" and record.source_url.startswith("https://www.flickr.com/")


@pytest.mark.data
def test_the_real_one(tmp_path: Path, flickr8k: Path, capsys) -> None:
    """The first pictures of both lists come out as `read_split` gives them from the original layout."""
    for split in ("train", "dev"):
        [names] = flickr8k.glob(f"*{split}Images.txt")
        (tmp_path / names.name).write_text("\n".join(names.read_text().split()[:40]))
    (tmp_path / "Flickr8k.token.txt").symlink_to(flickr8k / "Flickr8k.token.txt")
    (tmp_path / "Images").symlink_to(flickr8k / "Images")

    assert main(["flickr8k", "--from", str(tmp_path), "--into", str(tmp_path / "into")]) == 0

    for split in ("train", "dev"):
        before, after = read_split(flickr8k, split)[:40], read_split(tmp_path / "into", split)
        assert [(one.name, one.captions) for one in before] == [(one.name, one.captions) for one in after]
    assert main(["check", str(tmp_path / "into")]) == 0
