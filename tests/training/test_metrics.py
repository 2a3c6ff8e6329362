"""Caption metrics against the COCO toolkit's own scores, and against cases small enough to work out by hand."""

import json
import math
from pathlib import Path

import pytest

from imagetext.models.captioner.vocabulary import words_of
from training.dataset import read_captions
from training.metrics import CiderD, bleu, caption_scores, rouge_l, rouge_n

GOLDEN = {
    "bleu1": "Bleu_1",
    "bleu2": "Bleu_2",
    "bleu3": "Bleu_3",
    "bleu4": "Bleu_4",
    "rouge_l": "ROUGE_L",
    "cider": "CIDEr",
}


@pytest.mark.data
@pytest.mark.parametrize("model", ["init_1", "par_1", "pre_2", "merge_3"])
def test_scores_are_those_of_the_coco_toolkit(metrics_golden: Path, model: str) -> None:
    """BLEU, ROUGE-L and CIDEr-D of a published model lie within 0.0002 of what the toolkit gave."""
    captions = read_captions(metrics_golden / "references.token.txt")
    names = (metrics_golden / "images.txt").read_text().split()
    references = [[words_of(caption) for caption in captions[name]] for name in names]
    generated = [line.split() for line in (metrics_golden / f"{model}.txt").read_text().splitlines()]
    golden = json.loads((metrics_golden / "scores.json").read_text())[model]

    scores = caption_scores(generated, references)

    for ours, theirs in GOLDEN.items():
        assert scores[ours] == pytest.approx(golden[theirs], abs=2e-4), ours


def test_bleu_clips_repeated_words_and_punishes_brevity() -> None:
    """A repeated word counts as often as a reference has it; a short candidate pays exp(1 - r / c)."""
    scores = bleu([["the", "the", "the"]], [[["the", "cat", "sat", "down"]]])

    assert scores[0] == pytest.approx(math.exp(1 - 4 / 3) / 3)
    assert scores[1] == 0.0


def test_rouge_l_is_one_for_the_reference_and_zero_for_a_stranger() -> None:
    """The measure spans its range."""
    reference = ["a", "dog", "runs"]

    assert rouge_l(reference, [reference]) == pytest.approx(1.0)
    assert rouge_l(["two", "cats", "sleep"], [reference]) == 0.0
    assert rouge_l([], [reference]) == 0.0


def test_rouge_n_is_the_f1_with_the_best_reference() -> None:
    """Two of three words and one of two pairs are in a reference of four; a repeated word counts once if it is once."""
    references = [["two", "cats"], ["a", "dog", "runs", "fast"]]

    assert rouge_n(["a", "dog", "dog"], references, 1) == pytest.approx(2 * 2 / (3 + 4))
    assert rouge_n(["a", "dog", "dog"], references, 2) == pytest.approx(2 * 1 / (2 + 3))
    assert rouge_n(["a"], references, 2) == 0.0
    assert rouge_n([], references, 1) == 0.0


def test_cider_of_a_reference_is_ten_and_rare_words_weigh_more() -> None:
    """A caption equal to its only reference scores 10; missing the rare word costs more than missing the common one."""
    corpus = [
        [["a", "dog", "runs", "on", "grass"]],
        [["a", "cat", "runs", "on", "grass"]],
        [["a", "dog", "sits", "on", "grass"]],
    ]
    cider = CiderD(corpus)
    references = [cider.vector(corpus[1][0])]

    assert cider.score(corpus[1][0], references) == pytest.approx(10.0)
    without_rare = cider.score(["a", "thing", "runs", "on", "grass"], references)
    without_common = cider.score(["a", "cat", "runs", "on", "thing"], references)
    assert without_rare < without_common
