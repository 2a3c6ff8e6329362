"""A served retrieval model beyond Flickr8k: COCO, ImageNet, and short searches.

    python -m training.evaluate_open --photos DIR --open DIR [--model FOLDER]

Intervals are by the bootstrap. Things are scored in two halves; nothing was fitted on the second.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.engines import Engines
from imagetext.models.captioner.vocabulary import words_of
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.pictures import open_picture
from imagetext.wire.captions import LABEL_PROMPT
from imagetext.wire.errors import InvalidParameter
from training.command import add_folders, command_parser, exit_status
from training.dataset import read_split
from training.encoded import BATCH, encode_pictures, encode_texts
from training.open_world import Things, numbers_of, read_coco_dev, read_things, with_plurals
from training.ranking import Rows, bootstrap, rank

QUERIES = Path(__file__).with_name("short_queries.txt")
BINS = 10  # of probabilities, for the calibration error
FIRST = 10  # hits of a short search that count
LEAST = 2  # captions of a picture that must have a word; a single one may be mistaken
Vectors = NDArray[np.float32]
Scores = Callable[[Rows], dict[str, float]]


@dataclass(frozen=True)
class ShortQuery:
    """A search of one or two words. A picture is right if its captions have a word of each group of `words`, or if it
    shows one of the classes."""

    text: str
    words: tuple[frozenset[str], ...]
    classes: frozenset[int]

    def fits_captions(self, captions: Sequence[str]) -> bool:
        said = [set(words_of(caption)) for caption in captions]
        found = sum(all(group & words for group in self.words) for words in said)
        return bool(self.words) and found >= LEAST


def read_queries(file: Path = QUERIES) -> list[ShortQuery]:
    """Raises InvalidParameter for a line that is not a query."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            text, words, classes = (part.strip() for part in line.split(";"))
            groups = [with_plurals(group.split()) for group in words.split("&") if group.strip()]
            found.append(ShortQuery(text, tuple(groups), frozenset(numbers_of(classes))))
        except ValueError:
            raise InvalidParameter(f"{file.name}: {line!r} is not QUERY; WORDS; CLASSES.") from None
    return found


@dataclass(frozen=True)
class Collection:
    """All dev pictures, and which of them are right for a query."""

    pictures: Vectors
    captions: list[tuple[str, ...]]  # of those with captions, which come first
    numbers: list[int]  # the classes of the others

    def right(self, query: ShortQuery) -> NDArray[np.bool_]:
        of_captions = [query.fits_captions(captions) for captions in self.captions]
        return np.array([*of_captions, *(number in query.classes for number in self.numbers)])


def short_scores(queries: Sequence[ShortQuery], vectors: Vectors, collection: Collection) -> Scores:
    """Precision of the first hit and of the first ten (at most as many as are right), and mean average precision; the
    bootstrap resamples queries."""
    first, tenth, precision = [], [], []
    for query, vector in zip(queries, vectors, strict=True):
        right = collection.right(query)
        scores = collection.pictures @ vector
        if not query.classes:  # unknown for pictures without captions
            right, scores = right[: len(collection.captions)], scores[: len(collection.captions)]
        if not right.any():
            continue
        hits = right[np.argsort(-scores, kind="stable")]
        first.append(hits[0])
        tenth.append(hits[:FIRST].sum() / min(FIRST, right.sum()))
        places = np.flatnonzero(hits)
        precision.append(float((np.arange(1, len(places) + 1) / (places + 1)).mean()))
    columns = {"short searches": first, "short searches, of ten": tenth, "short searches, mAP": precision}
    return lambda rows: {
        name: 100 * float(np.mean(np.array(column)[rows % len(column)])) for name, column in columns.items()
    }


def thing_scores(queries: Vectors, pictures: Vectors, prefix: str) -> Scores:
    """Recall at 1 and 10 of the picture of a class by its name."""
    similarity = queries @ pictures.T
    ranks = (similarity > np.diag(similarity)[:, None]).sum(1)
    return lambda rows: {f"{prefix} R@{k}": 100 * float((ranks[rows] < k).mean()) for k in (1, 10)}


def label_scores(log_probabilities: Vectors, numbers: NDArray[np.intp], prefix: str) -> Scores:
    """Top-1 of the model's own names in percent, and the expected calibration error (Guo et al., 2017, section 2)."""
    right = log_probabilities.argmax(1) == numbers
    sure = np.exp(log_probabilities.max(1))

    def scores(rows: Rows) -> dict[str, float]:
        bins = np.minimum((sure[rows] * BINS).astype(int), BINS - 1)
        gaps = [
            np.abs(sure[rows][bins == each].mean() - right[rows][bins == each].mean()) * (bins == each).mean()
            for each in np.unique(bins)
        ]
        return {f"{prefix} top-1": 100 * float(right[rows].mean()), f"{prefix} ECE": float(np.sum(gaps))}

    return scores


def _log_probabilities(encoder: Encoder, things: Things) -> Vectors:
    found = []
    for start in range(0, len(things.pictures), BATCH):
        some = [encoder.prepare(open_picture(picture.path)) for picture in things.pictures[start : start + BATCH]]
        labels = encoder.encode_with_labels(some).log_probabilities
        assert labels is not None
        found.append(labels)
    return np.concatenate(found)


def evaluate(encoder: Encoder, photos: Path, open_world: Path) -> list[str]:
    """Lines of a table: what was measured, the value and its interval."""
    coco, things = read_coco_dev(open_world), read_things(open_world)
    dev = read_split(photos, "dev")
    coco_vectors, thing_vectors = encode_pictures(encoder, coco), encode_pictures(encoder, things.pictures)
    captions = [caption for picture in coco for caption in picture.captions]
    owner = [row for row, picture in enumerate(coco) for _ in picture.captions]
    ranking = rank(encode_texts(encoder, captions), coco_vectors, owner)
    named = encode_texts(encoder, [LABEL_PROMPT.format(things.names[number]) for number in things.numbers])
    lines = _lines(lambda rows: {f"COCO {k}": v for k, v in ranking.scores(rows).items() if "_r" in k}, len(coco))
    numbers, kept_out = np.array(things.numbers), np.array(things.kept_out())
    labels = _log_probabilities(encoder, things) if encoder.labels is not None else None
    lines += _lines(thing_scores(named, thing_vectors, "things"), len(numbers))
    for half, rows in (("things, first half", ~kept_out), ("things, second half", kept_out)):
        lines += _lines(thing_scores(named[rows], thing_vectors[rows], half), int(rows.sum()))
        if labels is not None:
            lines += _lines(label_scores(labels[rows], numbers[rows], half), int(rows.sum()))
    if labels is not None:
        lines += _lines(label_scores(labels, numbers, "things"), len(numbers))
    queries = read_queries()
    with_captions = [*dev, *coco]
    vectors = np.concatenate([encode_pictures(encoder, dev), coco_vectors, thing_vectors])
    collection = Collection(vectors, [picture.captions for picture in with_captions], things.numbers)
    texts = encode_texts(encoder, [query.text for query in queries])
    return lines + _lines(short_scores(queries, texts, collection), len(queries))


def _lines(scores: Scores, count: int) -> list[str]:
    found = bootstrap(scores, count)
    return [f"{name:40s} {each.value:7.2f}  {each.low:7.2f} to {each.high:.2f}" for name, each in found.items()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("evaluate_open", __doc__)
    add_folders(parser, "photos", "open")
    parser.add_argument("--model", type=Path, default=Path("models/retrieval"), help="an encoder's folder")
    options = parser.parse_args(argv)

    def run() -> None:
        lines = evaluate(load_encoder(options.model, Engines()), options.photos, options.open)
        sys.stdout.write("\n".join(lines) + "\n")

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
