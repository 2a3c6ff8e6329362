"""Fits relevance on captioned pictures, and says how well it tells questions that something fits from others.

python -m training.relevance --photos DIR [--open DIR --drawn DIR] [--model FOLDER] [--write]

The questions are nouns, two nouns, a noun without another, two nouns as parts, and captions; a picture is right when
its captions have all the wanted nouns and not the unwanted one. Each is asked twice: of all pictures, and of those that
are not right, so that nothing fits. Curves are fitted on half of the pictures and measured on the others. `--write`
fits on all of them and stores curve and background in the model's folder; indexes must then be built again.

With `--open` and `--drawn` the curve that is stored is fitted on four kinds of collections alike: photographs, COCO,
things and drawn scenes. There a question is the caption of a picture or the name of a thing; nothing fits where its
picture and all that is alike are left out.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from imagetext.engines import Engines
from imagetext.models.encoder.calibration import BACKGROUND, BACKGROUND_TENSOR, Calibration
from imagetext.models.encoder.engine import Encoder, composed, load_encoder
from imagetext.models.folder import CONFIG
from imagetext.wire.captions import LABEL_PROMPT
from imagetext.wire.errors import ImageTextError
from training.dataset import CaptionedPicture, read_split
from training.encoded import encode_pictures, encode_texts, fit_curve
from training.negation import NOUNS, Marks, pairs_of, shown
from training.open_world import Things, numbers_of, read_coco_dev, read_things

BACKGROUND_STEP = 4  # every fourth picture of the dev split is background, and no question is asked of it
HITS = 10  # of each question
ALIKE = 0.5  # cosine of two captions that may be of either's picture
KINDS = Path(__file__).with_name("kinds.txt")
FITTED = ("noun", "two nouns", "caption")  # composed queries have no part in the fit

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Questions:
    """Questions of one kind: unit vectors (n, dimensions), and which pictures are right, (n, pictures)."""

    vectors: Vectors
    right: Marks


@dataclass(frozen=True)
class Answers:
    """The first hits of each question, (n, HITS): how near they are, and which are right."""

    nearness: Vectors
    right: Marks


def questions_of(encoder: Encoder, pictures: Sequence[CaptionedPicture]) -> dict[str, Questions]:
    marks = {noun: found for noun, found in shown(pictures, NOUNS).items() if found.sum() >= 2 * HITS}
    pairs = pairs_of(marks)
    nouns = dict(zip(marks, encode_texts(encoder, list(marks)), strict=True))
    both = np.stack([marks[a] & marks[b] for a, b in pairs])
    named = {picture.captions[0]: _named(picture.captions[0], marks) for picture in pictures}
    captions = [caption for caption, found in named.items() if len(found) >= 2]
    return {
        "noun": Questions(np.stack(list(nouns.values())), np.stack(list(marks.values()))),
        "two nouns": Questions(encode_texts(encoder, [f"{a} {b}" for a, b in pairs]), both),
        "caption": Questions(
            encode_texts(encoder, captions),
            np.stack([np.logical_and.reduce([marks[noun] for noun in named[caption]]) for caption in captions]),
        ),
        "noun -noun": Questions(
            np.stack([composed([nouns[a], nouns[b]], [1, -1]) for a, b in pairs]),
            np.stack([marks[a] & ~marks[b] for a, b in pairs]),
        ),
        "two parts": Questions(np.stack([composed([nouns[a], nouns[b]], [1, 1]) for a, b in pairs]), both),
    }


def _named(caption: str, nouns: Sequence[str] | dict[str, Marks]) -> list[str]:
    words = set(re.findall(r"\w+", caption.lower()))
    return [noun for noun in nouns if not words.isdisjoint((noun, f"{noun}s"))]


def answers(questions: Questions, pictures: Vectors, background: Vectors | None, *, fits: bool) -> Answers:
    """Of the pictures, or where nothing is to fit, of those that are not right."""
    scores = questions.vectors @ pictures.T
    shown = scores if fits else np.where(questions.right, -2, scores)
    best = np.argsort(-shown, axis=1)[:, :HITS]
    plain = Calibration(1.0, 0.0, background)
    chance = np.array([plain.by_chance(vector) for vector in questions.vectors], dtype=np.float32)
    return Answers(
        np.take_along_axis(scores, best, axis=1) - chance[:, None], np.take_along_axis(questions.right, best, axis=1)
    )


def fit(questions: dict[str, Questions], pictures: Vectors, background: Vectors | None) -> Calibration:
    """Each kind counts as much as another, and as often something fits as not."""
    found = [answers(questions[kind], pictures, background, fits=each) for kind in FITTED for each in (True, False)]
    curve = fit_curve(
        torch.cat([torch.from_numpy(each.nearness.ravel()) for each in found]),
        torch.cat([torch.from_numpy(each.right.ravel()) for each in found]),
        torch.cat([torch.full((each.right.size,), 1000 / each.right.size) for each in found]),
    )
    return replace(curve, background=background)


@dataclass(frozen=True)
class Domain:
    """A kind of collection, and questions (n, dimensions): the pictures that answer them, and those that are alike
    (n, pictures)."""

    name: str
    pictures: Vectors
    questions: Vectors
    right: Marks
    alike: Marks

    def nearness(self, background: Vectors) -> tuple[Vectors, Vectors]:
        """Of each question (n,): the best answer's, and that of the best picture where nothing fits."""
        scores = self.questions @ self.pictures.T
        plain = Calibration(1.0, 0.0, background)
        chance = np.array([plain.by_chance(vector) for vector in self.questions], dtype=np.float32)
        best = np.where(self.right, scores, -2).max(1), np.where(self.right | self.alike, -2, scores).max(1)
        return best[0] - chance, best[1] - chance


def captioned_domain(name: str, encoder: Encoder, pictures: Sequence[CaptionedPicture], captions: int) -> Domain:
    """Questions are the first captions of each picture. Alike are pictures with a caption that says much the same."""
    vectors = encode_pictures(encoder, pictures)
    texts = encode_texts(encoder, [caption for picture in pictures for caption in picture.captions[:captions]])
    owner = np.repeat(np.arange(len(pictures)), captions)
    said = (texts @ texts.T).reshape(len(texts), len(pictures), captions).max(2)
    return Domain(name, vectors, texts, owner[:, None] == np.arange(len(pictures)), said > ALIKE)


def thing_domain(encoder: Encoder, things: Things) -> Domain:
    """Questions are names, alone and in a sentence. Alike are things of one kind."""
    names = [things.names[number] for number in things.numbers]
    texts = encode_texts(encoder, [*names, *(LABEL_PROMPT.format(name) for name in names)])
    kinds = [frozenset(numbers_of(line.split(";")[2])) for line in _kinds()]
    of = np.array([[number in kind for kind in kinds] for number in things.numbers])
    same = np.array(things.numbers)[:, None] == np.array(things.numbers)
    alike = (of.astype(int) @ of.T) > 0
    pictures = encode_pictures(encoder, things.pictures)
    return Domain("things", pictures, texts, np.tile(same, (2, 1)), np.tile(alike, (2, 1)))


def _kinds() -> list[str]:
    lines = KINDS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def fit_domains(domains: Sequence[Domain], background: Vectors, half: int | None = None) -> Calibration:
    """Each domain counts as much as another, and as often something fits as not; on all questions, or one half."""
    found = [part[half::2] if half is not None else part for each in domains for part in each.nearness(background)]
    curve = fit_curve(
        torch.cat([torch.from_numpy(each) for each in found]),
        torch.cat([torch.full((len(each),), number % 2 == 0) for number, each in enumerate(found)]),
        torch.cat([torch.full((len(each),), 1000 / len(each)) for each in found]),
    )
    return replace(curve, background=background)


def report_domains(domains: Sequence[Domain], background: Vectors) -> list[str]:
    """Fitted on one half of the questions, measured on the other."""
    curve = fit_domains(domains, background, half=0)
    lines = []
    for each in domains:
        fits, none = (
            1 / (1 + np.exp(-(curve.scale * part[1::2] + curve.offset))) for part in each.nearness(background)
        )
        lines.append(f"{each.name:12s} {len(fits):9d}  {(fits >= 0.5).mean():.2f}  {(none < 0.5).mean():.2f}")
    return lines


def separation(good: Vectors, bad: Vectors) -> float:
    """The probability that one of the good is above one of the bad (the area under the ROC curve)."""
    return float((good[:, None] > bad[None]).mean() + (good[:, None] == bad[None]).mean() / 2)


def report(questions: dict[str, Questions], pictures: Vectors, background: Vectors | None) -> list[str]:
    half = np.arange(len(pictures)) % 2 == 0

    def part(rows: Marks) -> dict[str, Questions]:
        return {kind: Questions(each.vectors, each.right[:, rows]) for kind, each in questions.items()}

    curve = fit(part(half), pictures[half], background)
    lines, good, bad = [], [], []
    for kind, each in part(~half).items():
        first = [answers(each, pictures[~half], background, fits=fits) for fits in (True, False)]
        full, none = (1 / (1 + np.exp(-(curve.scale * found.nearness + curve.offset))) for found in first)
        right = first[0].right
        good.append(full[:, 0][right[:, 0]])
        bad.append(none[:, 0])
        lines.append(
            f"{kind:12s} {len(right):9d}  {right.mean():.2f}  {full.mean():.2f}  {none.mean():.2f}  "
            f"{separation(good[-1], bad[-1]):.3f}"
        )
    everything = separation(np.concatenate(good), np.concatenate(bad))
    kept = [f"{level:.2f}: {_above(good, level):.0%} and {_above(bad, level):.0%}" for level in (0.2, 0.25, 0.3, 0.4)]
    return [*lines, f"all kinds {everything:41.3f}", f"first hits above a relevance of {', '.join(kept)}"]


def _above(found: Sequence[Vectors], level: float) -> float:
    return float(np.mean([(each >= level).mean() for each in found]))


def write(folder: Path, calibration: Calibration) -> None:
    """Raises OSError."""
    assert calibration.background is not None
    save_file({BACKGROUND_TENSOR: calibration.background.astype(np.float16)}, folder / BACKGROUND)
    (folder / BACKGROUND).chmod(0o644)  # as the weights
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | {"calibration": calibration.to_config()}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.relevance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--model", type=Path, default=Path("models/retrieval"), help="an encoder's folder")
    parser.add_argument("--open", type=Path, help="pictures from beyond it; with --drawn")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the layout of Flickr8k; with --open")
    parser.add_argument("--write", action="store_true", help="store the result in the model's folder")
    options = parser.parse_args(argv)
    try:
        photos = read_split(options.photos, "dev")
        encoder = load_encoder(options.model, Engines())
        vectors = encode_pictures(encoder, photos)
        asked = np.arange(len(photos)) % BACKGROUND_STEP != 0
        pictures, background = vectors[asked], vectors[~asked]
        without_background = [photo for photo, each in zip(photos, asked, strict=True) if each]
        questions = questions_of(encoder, without_background)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    head = "kind         questions  right among the first ten, relevance, the same where nothing fits, told apart"
    for name, used in (("the cosine alone", None), ("against background pictures", background)):
        sys.stdout.write("\n".join([f"{name}\n{head}", *report(questions, pictures, used)]) + "\n\n")
    if options.open and options.drawn:
        domains = [
            captioned_domain("photographs", encoder, without_background, 5),
            captioned_domain("COCO", encoder, read_coco_dev(options.open), 5),
            thing_domain(encoder, read_things(options.open)),
            captioned_domain("drawn scenes", encoder, read_split(options.drawn, "dev"), 1),
        ]
        head = "kind         questions  relevance of an answer at least 0.5, below 0.5 where nothing fits"
        sys.stdout.write("\n".join([head, *report_domains(domains, background)]) + "\n\n")
        fitted = fit_domains(domains, background)
    else:
        fitted = fit(questions, pictures, background)
    sys.stdout.write(f"scale {fitted.scale}, offset {fitted.offset}\n")
    if options.write:
        write(options.model, fitted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
