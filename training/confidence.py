"""The confidence of a captioner, which is the probability that a caption is right, and its captions beyond Flickr8k.

    python -m training.confidence --photos DIR --open DIR --model models/caption-gru [--write]

Two measures stand in for human judgement. A caption of a photograph or of COCO is right if most of its content words
are in the references; a caption of a thing is right if it names the thing or its kind (`kinds.txt`), and neither people
nor dogs that are not there. The curve is fitted on every second picture of each domain, with equal weight for each
domain, and reported on the others.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imagetext.engines import Engines
from imagetext.models.captioner.engine import Captioner, Confidence, DecodedCaption, load_captioner
from imagetext.models.captioner.vocabulary import words_of
from imagetext.models.folder import CONFIG
from training.command import add_folders, command_parser, exit_status
from training.dataset import read_split
from training.encoded import caption_pictures, fit_curve
from training.open_world import Naming, read_coco_dev, read_kinds, read_things
from training.ranking import Rows, bootstrap
from training.scored_captions import ScoredCaptions

SURE = 0.6  # confidence from which the page calls a caption sure
AGREES = 0.6  # share of a caption's content words that must be in the references
BEAMS = 3
# Words without content.
EMPTY = frozenset(
    {"a", "an", "the", "of", "in", "on", "at", "to", "with", "and", "or", "is", "are", "be", "its", "his", "her"}
    | {"by", "for", "from", "up", "it", "that", "there", "some", "while", "as", "into", "next", "over", "through"}
    | {"their", "off"}
)


def agrees(caption: str, references: Sequence[str]) -> bool:
    """Whether most content words of a caption are in the references."""
    content = [word for word in words_of(caption) if word not in EMPTY]
    known = {word for reference in references for word in words_of(reference)}
    return bool(content) and sum(word in known for word in content) >= AGREES * len(content)


@dataclass(frozen=True)
class Judged:
    """The best caption of each picture, and whether it is right."""

    captions: list[DecodedCaption]
    right: NDArray[np.bool_]

    @property
    def scores(self) -> NDArray[np.float64]:
        return np.array([caption.score for caption in self.captions])


@dataclass(frozen=True)
class Captions:
    """A served captioner's captions of the dev pictures; `lines` are scores that need no confidence."""

    domains: dict[str, Judged]
    lines: list[str]


def caption_dev(captioner: Captioner, photos: Path, open_world: Path) -> Captions:
    dev, coco, things = read_split(photos, "dev"), read_coco_dev(open_world), read_things(open_world)
    naming = Naming(things.names, read_kinds())
    domains, lines = {}, list[str]()
    for name, pictures in (("photographs", dev), ("COCO", coco)):
        found = caption_pictures(captioner, pictures, BEAMS)
        texts = [caption.text for caption in found]
        right = [agrees(text, picture.captions) for text, picture in zip(texts, pictures, strict=True)]
        domains[name] = Judged(found, np.array(right))
        if pictures is coco:
            scored = ScoredCaptions(texts, [picture.captions for picture in pictures])
            lines += _lines(scored, len(pictures))
    found = caption_pictures(captioner, things.pictures, BEAMS)
    pairs = [(caption.text, number) for caption, number in zip(found, things.numbers, strict=True)]
    named = np.array([naming.named(*pair) for pair in pairs])
    mistaken = np.array([naming.mistaken(*pair) for pair in pairs])
    domains["things"] = Judged(found, named & ~mistaken)
    of_dogs, kept_out = np.array([n in naming.of_dogs for n in things.numbers]), np.array(things.kept_out())
    for half, rows in (
        ("things", kept_out | True),
        ("things, first half", ~kept_out),
        ("things, second half", kept_out),
    ):
        lines += _shares(f"{half}: named", named[rows]) + _shares(f"{half}: people or dogs", mistaken[rows & ~of_dogs])
    return Captions(domains, lines)


def _lines(scored: ScoredCaptions, count: int) -> list[str]:
    def chosen(rows: Rows) -> dict[str, float]:
        return {f"COCO {key}": value for key, value in scored.scores(rows).items() if key in ("bleu4", "cider")}

    return [_line(name, each.value, each.low, each.high) for name, each in bootstrap(chosen, count).items()]


def _shares(name: str, right: NDArray[np.bool_]) -> list[str]:
    found = bootstrap(lambda rows: {name: 100 * float(right[rows].mean())}, len(right))[name]
    return [_line(name, found.value, found.low, found.high)]


def _line(name: str, value: float, low: float, high: float) -> str:
    return f"{name:40s} {value:7.3f}  {low:7.3f} to {high:.3f}"


def fit(domains: dict[str, Judged]) -> Confidence:
    """On every second picture of each domain."""
    halves = [(judged.scores[::2], judged.right[::2]) for judged in domains.values()]
    scores, right = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    weights = np.concatenate([np.full(len(half), 1 / len(half)) for half, _ in halves])
    curve = fit_curve(
        torch.from_numpy(scores).float(), torch.from_numpy(right), torch.from_numpy(weights * len(weights)).float()
    )
    return Confidence(curve.scale, curve.offset)


def report(domains: dict[str, Judged], confidence: Confidence) -> list[str]:
    """Shares of right captions, of sure ones, and of right ones among the sure, where nothing was fitted."""
    lines = []
    for name, judged in domains.items():
        sure = np.array([confidence.of(score) for score in judged.scores[1::2]])
        right = judged.right[1::2]
        of_sure = f"{right[sure >= SURE].mean():.2f}" if (sure >= SURE).any() else "-"
        lines.append(
            f"{name:20s} right {right.mean():.2f}, mean confidence {sure.mean():.2f}, at {SURE} or more"
            f" {(sure >= SURE).mean():.2f} of all, {of_sure} of these right"
        )
    return lines


def write(folder: Path, confidence: Confidence) -> None:
    file = folder / CONFIG
    config = json.loads(file.read_text(encoding="utf-8"))
    config["confidence"] = {"scale": confidence.scale, "offset": confidence.offset}
    file.with_suffix(".unfinished").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    os.replace(file.with_suffix(".unfinished"), file)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("confidence", __doc__)
    add_folders(parser, "photos", "open")
    parser.add_argument("--model", type=Path, required=True, help="a captioner's folder")
    parser.add_argument("--write", action="store_true", help="fit the curve and write it into the model folder")
    options = parser.parse_args(argv)

    def run() -> None:
        captioner = load_captioner(options.model, Engines())
        found = caption_dev(captioner, options.photos, options.open)
        confidence = fit(found.domains) if options.write else captioner.facts.confidence
        if options.write and confidence is not None:
            write(options.model, confidence)
        lines = found.lines + (report(found.domains, confidence) if confidence is not None else [])
        sys.stdout.write("\n".join([f"# {options.model}", *lines]) + "\n")

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
