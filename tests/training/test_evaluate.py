"""`make evaluate` with the models that the repository carries, on a few drawn shapes."""

import json
from pathlib import Path

import pytest

from tests.browser.shapes import shape_library
from training.evaluate import main


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Six pictures in the layout of Flickr8k."""
    folder = tmp_path / "shapes"
    (folder / "Images").mkdir(parents=True)
    tokens = []
    for shape in shape_library()[:6]:
        (folder / "Images" / f"{shape.id}.jpg").write_bytes(shape.encoded())
        tokens += [
            f"{shape.id}.jpg#{n}\t{shape.colour} {word} {shape.shape} .\n" for n, word in enumerate(("the", "a"))
        ]
    (folder / "shapes.token.txt").write_text("".join(tokens))
    (folder / "shapes_devImages.txt").write_text("".join(f"{shape.id}.jpg\n" for shape in shape_library()[:6]))
    return folder


def test_models_as_they_are_served(shapes: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON on standard output holds every score with its interval; the report lies where it was asked for."""
    report = shapes.parent / "report"
    captioner = str(models / "caption-gru")
    arguments = ["--photos", str(shapes), "--retrieval", str(models / "retrieval"), "--report", str(report), "--json"]

    status = main([*arguments, "--captioner", captioner, "--meteor", "no.jar"])

    found = json.loads(capsys.readouterr().out)
    (captions,), (search,) = found["captions"].values(), found["retrieval"].values()
    assert status == 0
    assert found["pictures"] == 6
    assert set(captions["cider"]) == {"value", "low", "high"}
    assert search["text_to_picture_r10"]["value"] == 100
    assert json.loads((report / "scores.json").read_text()) == found
    assert "data:image/jpeg" in (report / "index.html").read_text()
    assert list((report / "work").iterdir()) == []


def test_what_cannot_be_evaluated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no data set ends with a sentence; a call without a model with the usage."""
    assert main(["--photos", str(tmp_path), "--captioner", "nowhere"]) == 1
    assert "exactly one is needed" in capsys.readouterr().err

    with pytest.raises(SystemExit):
        main(["--photos", str(tmp_path)])

    assert "name a model" in capsys.readouterr().err
