"""Relevance fitted on questions that something fits and others."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from imagetext.models.encoder.calibration import BACKGROUND, BACKGROUND_TENSOR
from imagetext.models.folder import CONFIG
from training.dataset import CaptionedPicture
from training.open_world import Things
from training.relevance import (
    FITTED,
    Domain,
    Questions,
    answers,
    captioned_domain,
    fit,
    fit_domains,
    report,
    report_domains,
    separation,
    thing_domain,
    write,
)

SUBJECTS, EACH, DIMENSIONS = 12, 30, 64


@pytest.fixture
def world():
    """Questions, pictures and background: pictures lie near their subject, and half of the subjects near everything."""
    random = np.random.default_rng(3)

    def unit(rows):
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    middle = unit(random.standard_normal((1, DIMENSIONS)))
    shared = np.where(np.arange(SUBJECTS) % 2, 2.0, 0.0)[:, None]
    subjects = unit(unit(random.standard_normal((SUBJECTS, DIMENSIONS))) + shared * middle)
    owner = np.repeat(np.arange(SUBJECTS), EACH)
    noise = unit(random.standard_normal((SUBJECTS * EACH, DIMENSIONS)))
    pictures = unit(subjects[owner] + 1.2 * noise + middle)
    background = unit(unit(random.standard_normal((100, DIMENSIONS))) + middle)
    right = np.arange(SUBJECTS)[:, None] == owner
    return dict.fromkeys(FITTED, Questions(subjects, right)), pictures, background


def test_answers_where_nothing_fits_are_all_wrong(world):
    """The same question is asked of all pictures, and of those that are not right."""
    questions, pictures, _ = world
    full, none = (answers(questions["noun"], pictures, None, fits=fits) for fits in (True, False))

    assert full.right.mean() > 0.9
    assert not none.right.any()
    assert (none.nearness[:, 0] < full.nearness[:, 0]).all()


def test_background_tells_questions_apart(world):
    """Where some questions come near to everything, the bare score misleads and the difference does not."""
    questions, pictures, background = world

    def told_apart(lines: list[str]) -> float:
        return float(next(line for line in lines if line.startswith("all kinds")).split()[-1])

    plain, better = (told_apart(report(questions, pictures, used)) for used in (None, background))

    assert better > plain + 0.05
    assert better > 0.9


def test_the_fit_is_stored_beside_the_model(world, tmp_path):
    """The curve goes into the config, which keeps the rest, and the background into its file."""
    fitted = fit(*world)
    (tmp_path / CONFIG).write_text(json.dumps({"name": "toy", "calibration": {"scale": 1.0, "offset": 0.0}}))
    write(tmp_path, fitted)
    config = json.loads((tmp_path / CONFIG).read_text())

    assert config == {"name": "toy", "calibration": fitted.to_config()}
    assert config["calibration"]["background"] == BACKGROUND
    assert fitted.scale > 0
    assert load_file(tmp_path / BACKGROUND)[BACKGROUND_TENSOR] == pytest.approx(fitted.background, abs=1e-3)


def test_separation():
    """The part of the pairs in which the good one is above; the same counts half."""
    assert separation(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)


def test_nothing_fits_where_all_that_is_alike_is_left_out():
    """A question's own picture answers it; where nothing is to fit, its relatives are no answer either."""
    pictures = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    right, alike = np.array([[True, False, False]]), np.array([[False, True, False]])
    domain = Domain("things", pictures, pictures[:1], right, alike)

    fits, none = domain.nearness(np.array([[0, 1]], np.float32))

    assert (float(fits[0]), float(none[0])) == (1.0, 0.0)


def test_domains_count_alike():
    """A domain with a hundred times the questions moves the curve no further; the report is of the other half."""
    random = np.random.default_rng(0)

    def domain(count: int) -> Domain:
        questions = random.standard_normal((count, 8))
        questions = (questions / np.linalg.norm(questions, axis=1, keepdims=True)).astype(np.float32)
        same = np.eye(count, dtype=bool)
        return Domain(f"{count} questions", questions, questions, same, same)

    background = domain(50).pictures
    few, many = domain(40), domain(400)
    fitted = fit_domains([few, many], background)
    lines = report_domains([few, many], background)

    assert fitted.scale > 0
    assert fitted.background is background
    assert [line.split()[-3:-2] for line in lines] == [["20"], ["200"]]
    assert all(float(line.split()[-2]) > 0.8 for line in lines)


def test_relatives_are_told_by_captions_and_by_kinds(monkeypatch, tmp_path):
    """Captions that say the same make pictures alike, and so do classes of one kind."""
    captions = {"a dog": [1, 0, 0], "the dog": [0.9, 0.44, 0], "a bus": [0, 0, 1]}
    pictures = [CaptionedPicture(tmp_path / f"{number}.jpg", (text,)) for number, text in enumerate(captions)]
    things = Things(pictures, [151, 153, 779], [str(number) for number in range(1000)])
    vectors = np.array(list(captions.values()), np.float32)
    monkeypatch.setattr("training.relevance.encode_pictures", lambda encoder, found: vectors)
    monkeypatch.setattr(
        "training.relevance.encode_texts", lambda encoder, texts: np.tile(vectors, (len(texts) // 3, 1))
    )

    captioned, named = captioned_domain("photographs", None, pictures, 1), thing_domain(None, things)

    assert captioned.alike.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert named.alike[:3].tolist() == captioned.alike.tolist()  # two dogs and a bus
    assert named.right[:3].tolist() == np.eye(3, dtype=bool).tolist()
    assert len(named.questions) == 6
