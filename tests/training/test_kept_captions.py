"""An evaluation that goes on after an interruption."""

from pathlib import Path

from training.evaluate import KeptCaptions


def test_captions_outlive_an_interruption(tmp_path: Path) -> None:
    """What was added is there for the same identity, and not for another."""
    KeptCaptions(tmp_path, ["model", 3]).add(["a dog", "a «cat»"])

    assert KeptCaptions(tmp_path, ["model", 3]).captions == ["a dog", "a «cat»"]
    assert KeptCaptions(tmp_path, ["other", 3]).captions == []


def test_a_line_that_was_cut_off_is_captioned_again(tmp_path: Path) -> None:
    """A kill in the middle of writing costs that line, and the next one is not glued to it."""
    kept = KeptCaptions(tmp_path, ["model"])
    kept.add(["a dog", "a cat"])
    kept.file.write_text(kept.file.read_text()[:-3])

    again = KeptCaptions(tmp_path, ["model"])
    again.add(["a cat"])

    assert KeptCaptions(tmp_path, ["model"]).captions == ["a dog", "a cat"]


def test_a_finished_evaluation_leaves_nothing(tmp_path: Path) -> None:
    """The next evaluation captions anew, since code may have changed."""
    kept = KeptCaptions(tmp_path, ["model"])
    kept.add(["a dog"])
    kept.forget()

    assert KeptCaptions(tmp_path, ["model"]).captions == []
