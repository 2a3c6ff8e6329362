"""The command that scores anybody's captions."""

import json
from pathlib import Path

import pytest

from imagetext.wire.errors import Unavailable
from training.score import main
from training.scored_captions import find_jar

GOLDEN = {
    "bleu1": "Bleu_1",
    "bleu2": "Bleu_2",
    "bleu3": "Bleu_3",
    "bleu4": "Bleu_4",
    "rouge_l": "ROUGE_L",
    "cider": "CIDEr",
}
# By the package rouge-score 0.1.2 (rouge1 and rouge2, no stemming, best reference, mean over pictures).
ROUGE = {
    "init_1": (0.456435, 0.217659),
    "par_1": (0.465092, 0.227235),
    "pre_2": (0.463452, 0.225071),
    "merge_3": (0.457462, 0.217786),
}

TOKENS = """a.jpg#0\tA dog runs .
a.jpg#1\tA brown dog is running .
b.jpg#0\tTwo men sit on a bench .
b.jpg#1\tMen on a bench .
c.jpg#0\tA picture that nobody captioned .
"""


class Files:
    """References and captions on disk, and the command run on them."""

    def __init__(self, folder: Path, captions: str, tokens: str = TOKENS) -> None:
        self.captions, self.references = folder / "captions.json", folder / "some.token.txt"
        self.captions.write_text(captions)
        self.references.write_text(tokens)

    def run(self, *more: str) -> int:
        return main(["--references", str(self.references), "--captions", str(self.captions), *more])


def write_golden(golden: Path, model: str, folder: Path) -> Path:
    names = (golden / "images.txt").read_text().split()
    captions = (golden / f"{model}.txt").read_text().splitlines()
    file = folder / f"{model}.json"
    file.write_text(json.dumps(dict(zip(names, captions, strict=True))))
    return file


@pytest.mark.data
@pytest.mark.parametrize("model", ROUGE)
def test_scores_are_those_of_the_toolkit_and_of_rouge_score(
    metrics_golden: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command gives a published model the scores that the COCO toolkit gave it, within 0.0002."""
    captions = write_golden(metrics_golden, model, tmp_path)
    golden = json.loads((metrics_golden / "scores.json").read_text())[model]

    status = main(
        [
            "--references",
            str(metrics_golden / "references.token.txt"),
            "--captions",
            str(captions),
            "--meteor",
            "no.jar",
        ]
    )

    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert found["pictures"] == 1000
    for ours, theirs in GOLDEN.items():
        assert found[ours] == pytest.approx(golden[theirs], abs=2e-4), ours
    assert (found["rouge1"], found["rouge2"]) == pytest.approx(ROUGE[model], abs=2e-6)


@pytest.mark.data
def test_meteor_is_that_of_the_toolkit(
    metrics_golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], meteor_jar: Path
) -> None:
    """With Java and the jar the METEOR of a published model is the toolkit's."""
    captions = write_golden(metrics_golden, "init_1", tmp_path)
    golden = json.loads((metrics_golden / "scores.json").read_text())["init_1"]

    main(
        [
            *("--references", str(metrics_golden / "references.token.txt")),
            *("--captions", str(captions), "--meteor", str(meteor_jar)),
        ]
    )

    assert json.loads(capsys.readouterr().out)["meteor"] == pytest.approx(golden["METEOR"], abs=2e-6)


def test_a_whole_data_sets_references_serve_a_part_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures without a caption are left out; one perfect and one empty caption are half of a perfect score."""
    status = Files(tmp_path, '{"a.jpg": "a dog runs", "b.jpg": ""}').run("--meteor", "no.jar")

    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert found["pictures"] == 2
    assert (found["rouge_l"], found["rouge1"], found["rouge2"]) == (0.5, 0.5, 0.5)
    assert found["mean_length"] == 1.5
    assert found["distinct_words"] == 3


def test_captions_not_seen_in_training_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Case and punctuation make no caption new; without the training captions nothing is said."""
    files = Files(tmp_path, '{"a.jpg": "a dog runs", "b.jpg": "two men on a bench"}')

    files.run("--train", str(files.references), "--meteor", "no.jar")
    known = json.loads(capsys.readouterr().out)
    files.run("--meteor", "no.jar")
    unknown = json.loads(capsys.readouterr().out)

    assert known["novel"] == 0.5
    assert "novel" not in unknown


def test_without_meteor_the_key_is_left_out_and_the_reason_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A jar that is not there takes METEOR away and nothing else."""
    status = Files(tmp_path, '{"a.jpg": "a dog"}').run("--meteor", str(tmp_path / "no.jar"))

    out, err = capsys.readouterr()
    assert status == 0
    assert "meteor" not in json.loads(out)
    assert "Without METEOR: There is no METEOR jar" in err


def test_a_jar_that_is_none_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that Java cannot run, or a machine without Java, is a sentence and no crash."""
    jar = tmp_path / "empty.jar"
    jar.touch()

    status = Files(tmp_path, '{"a.jpg": "a dog"}').run("--meteor", str(jar))

    assert status == 0
    assert "Without METEOR: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("captions", "sentence"),
    [
        ('{"a.jpg": "a dog", "x.jpg": "a cat"}', "1 of 2 pictures have no references, first x.jpg."),
        ("", "captions.json is empty."),
        ("{}", "captions.json holds no captions."),
        ('{"a.jpg": "a dog",}', "captions.json is not JSON: line 1, column 19."),
        ('["a dog"]', "captions.json must hold one JSON object"),
        ('{"a.jpg": ["a dog"]}', "The caption of a.jpg is not a string."),
        ('{"a.jpg": "a dog", "a.jpg": "a cat"}', "a.jpg has more than one caption."),
    ],
)
def test_wrong_captions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], captions: str, sentence: str
) -> None:
    """Each fault of the captions file has its own sentence on standard error, and nothing is printed as a score."""
    status = Files(tmp_path, captions).run()

    out, err = capsys.readouterr()
    assert status == 1
    assert out == ""
    assert sentence in err


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [("", "some.token.txt is empty."), ("a.jpg a dog\n", "Line 1 of some.token.txt is not NAME#NUMBER<TAB>CAPTION.")],
)
def test_wrong_references_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tokens: str, sentence: str
) -> None:
    """The references' faults are named as clearly."""
    status = Files(tmp_path, '{"a.jpg": "a dog"}', tokens).run()

    assert status == 1
    assert sentence in capsys.readouterr().err


def test_missing_and_unreadable_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path to nothing and bytes that are no text are sentences, not tracebacks."""
    files = Files(tmp_path, '{"a.jpg": "a dog"}')
    files.captions.write_bytes(b"\xff\xfe{}")
    assert files.run() == 1
    assert "captions.json is not UTF-8 text." in capsys.readouterr().err

    files.captions.unlink()

    assert files.run() == 1
    assert "is missing or cannot be read." in capsys.readouterr().err


def test_the_jar_of_the_option_counts(tmp_path: Path) -> None:
    """A named jar is taken when it is there and refused when it is not."""
    jar = tmp_path / "meteor-1.5.jar"
    jar.touch()

    assert find_jar(str(jar)) == jar
    with pytest.raises(Unavailable, match="There is no METEOR jar"):
        find_jar(str(tmp_path / "other.jar"))
