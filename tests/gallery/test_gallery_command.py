"""The command and the folder it leaves."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from gallery.__main__ import main
from gallery.writer import VERSION, Order, write_gallery


def _run(out: Path, *arguments: str) -> int:
    return main(["--out", str(out), "--processes", "1", *arguments])


def _content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_layout_is_that_of_flickr8k(tmp_path: Path) -> None:
    """Pictures lie in Images, and captions.token.txt has five lines for each."""
    assert _run(tmp_path, "--number", "4", "--seed", "9") == 0

    names = [f"scene-{index:06d}.jpg" for index in range(1, 5)]
    lines = (tmp_path / "captions.token.txt").read_text("utf-8").splitlines()
    assert sorted(path.name for path in (tmp_path / "Images").iterdir()) == names
    assert [line.split("\t")[0] for line in lines] == [f"{name}#{place}" for name in names for place in range(5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Images", "captions.token.txt", "gallery.json"]


def test_pictures_are_jpegs_of_the_promised_size(tmp_path: Path) -> None:
    """Every picture opens as a JPEG of 480x360 or 360x480 and carries no text."""
    _run(tmp_path, "--number", "6")

    for path in (tmp_path / "Images").iterdir():
        with Image.open(path) as picture:
            assert picture.format == "JPEG"
            assert picture.size in {(480, 360), (360, 480)}
            assert "comment" not in picture.info
            assert not picture.getexif()


def test_a_split_names_every_picture_once(tmp_path: Path) -> None:
    """With --split and --dev the last pictures are held back and the others are for training."""
    assert _run(tmp_path, "--number", "5", "--split", "--dev", "2") == 0

    train, dev = ((tmp_path / f"{part}Images.txt").read_text("utf-8").split() for part in ("train", "dev"))
    assert train == ["scene-000001.jpg", "scene-000002.jpg", "scene-000003.jpg"]
    assert dev == ["scene-000004.jpg", "scene-000005.jpg"]


def test_two_runs_and_any_number_of_processes_give_the_same_bytes(tmp_path: Path) -> None:
    """The gallery depends on seed and number alone."""
    _run(tmp_path / "one", "--number", "9")
    main(["--out", str(tmp_path / "two"), "--processes", "2", "--number", "9"])

    assert _content(tmp_path / "one") == _content(tmp_path / "two")


def test_a_complete_folder_is_left_alone(tmp_path: Path) -> None:
    """A second run with the same arguments writes nothing."""
    _run(tmp_path, "--number", "3")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    assert _run(tmp_path, "--number", "3") == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    """What was drawn before the interruption stays, the rest is added, and the result is the usual one."""
    drawing = write_gallery(tmp_path / "halted", Order(6, 1), processes=1)
    next(drawing)
    next(drawing)
    drawing.close()
    first = tmp_path / "halted" / "Images" / "scene-000001.jpg"
    drawn = first.stat().st_mtime_ns

    assert not (tmp_path / "halted" / "captions.token.txt").exists()
    assert _run(tmp_path / "halted", "--number", "6") == 0
    assert first.stat().st_mtime_ns == drawn
    _run(tmp_path / "whole", "--number", "6")
    assert _content(tmp_path / "halted") == _content(tmp_path / "whole")


def test_a_missing_picture_is_drawn_again(tmp_path: Path) -> None:
    """A folder that lost a picture is not complete."""
    _run(tmp_path, "--number", "3")
    lost = tmp_path / "Images" / "scene-000002.jpg"
    bytes_before = lost.read_bytes()
    lost.unlink()

    _run(tmp_path, "--number", "3")
    assert lost.read_bytes() == bytes_before


@pytest.mark.parametrize("change", [{"version": VERSION - 1}, {"seed": 2}])
def test_pictures_of_another_generator_or_seed_are_replaced(tmp_path: Path, change: dict[str, int]) -> None:
    """What another version or seed drew is drawn again, and none of it stays behind."""
    _run(tmp_path, "--number", "3")
    record = tmp_path / "gallery.json"
    record.write_text(json.dumps({**json.loads(record.read_text("utf-8")), **change}), "utf-8")
    old = tmp_path / "Images" / "scene-000009.jpg"
    old.write_bytes(b"old")

    assert _run(tmp_path, "--number", "3") == 0
    assert not old.exists()


def test_a_smaller_order_removes_what_is_too_much(tmp_path: Path) -> None:
    """After a run for fewer scenes the folder holds just those, and no old split."""
    _run(tmp_path, "--number", "4", "--split", "--dev", "1")
    _run(tmp_path, "--number", "2")

    assert sorted(path.name for path in (tmp_path / "Images").iterdir()) == ["scene-000001.jpg", "scene-000002.jpg"]
    assert not (tmp_path / "trainImages.txt").exists()
    assert not (tmp_path / "devImages.txt").exists()


def test_names_of_files_say_nothing_about_their_pictures(tmp_path: Path) -> None:
    """A file name holds the number of the scene and no word of its captions."""
    _run(tmp_path, "--number", "5")
    captions = (tmp_path / "captions.token.txt").read_text("utf-8").lower()

    for path in (tmp_path / "Images").iterdir():
        word = path.stem.split("-")[0]
        assert path.stem == f"scene-{int(path.stem.split('-')[1]):06d}"
        assert f" {word} " not in captions


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--number", "0"), "--number"),
        (("--number", "999999"), "--number"),
        (("--dev", "3"), "--split"),
        (("--split", "--number", "3", "--dev", "3"), "--dev"),
        (("--split", "--dev", "-1"), "--dev"),
        (("--number", "many"), "--number"),
        (("--processes", "0"), "--processes"),
    ],
)
def test_bad_arguments_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], word: str
) -> None:
    """A wrong argument ends with status 1 and one line that names it, and nothing is written."""
    assert main(["--out", str(tmp_path / "new"), *arguments]) == 1

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert word in message
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be ends with status 1 and one line that names it."""
    (tmp_path / "file").write_text("here already", "utf-8")

    assert _run(tmp_path / "file", "--number", "1") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"{tmp_path / 'file'}{os.sep}" not in message
    assert str(tmp_path / "file") in message
