"""The weight of an unwanted word: searches for one thing without another, on captioned pictures.

python -m training.negation --photos DIR [--model FOLDER]

For each pair of frequent nouns that occur together in some pictures but not in others, the query `A -B` should find the
pictures with A in a caption and B in none. The table shows mean average precision (Manning et al., 2008, section 8.4)
over all pairs for several weights; 0 is A alone. The services use `imagetext.models.encoder.engine.AWAY`.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagetext.engines import Engines
from imagetext.models.encoder.engine import AWAY, composed, load_encoder
from imagetext.wire.errors import ImageTextError
from training.dataset import CaptionedPicture, read_split
from training.encoded import encode_pictures, encode_texts

NOUNS = (
    *("ball", "beach", "bicycle", "bike", "boy", "building", "camera", "car", "child", "crowd", "dog", "field", "fire"),
    *("flower", "frisbee", "girl", "grass", "guitar", "hat", "helmet", "horse", "lake", "man", "mountain", "ocean"),
    *("people", "player", "pool", "rock", "sand", "skateboard", "snow", "stick", "street", "swing", "toy", "tree"),
    *("wall", "water", "wave", "woman"),
)
FEWEST = 10  # pictures with both, and with the one alone
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

Pair = tuple[str, str]
Marks = NDArray[np.bool_]  # (pictures,)


def shown(pictures: Sequence[CaptionedPicture], nouns: Sequence[str]) -> dict[str, Marks]:
    """Which pictures have each noun, or its plural, in a caption."""
    words = [set(re.findall(r"\w+", " ".join(picture.captions).lower())) for picture in pictures]
    return {noun: np.array([not own.isdisjoint((noun, f"{noun}s")) for own in words]) for noun in nouns}


def pairs_of(marks: dict[str, Marks]) -> list[Pair]:
    """(wanted, unwanted) nouns that are together in some pictures and not in others."""
    return [
        (wanted, unwanted)
        for wanted, unwanted in permutations(marks, 2)
        if min((marks[wanted] & marks[unwanted]).sum(), (marks[wanted] & ~marks[unwanted]).sum()) >= FEWEST
    ]


def average_precision(scores: NDArray[np.float32], relevant: Marks) -> float:
    """Of a ranking by `scores` (n,), at least one of which is relevant."""
    places = np.flatnonzero(relevant[np.argsort(-scores, kind="stable")])
    return float((np.arange(1, len(places) + 1) / (places + 1)).mean())


def measure(
    vectors: dict[str, NDArray[np.float32]],
    pictures: NDArray[np.float32],
    marks: dict[str, Marks],
    pairs: Sequence[Pair],
) -> dict[float, float]:
    """Mean average precision for each strength. `vectors` has a unit vector for each noun."""
    found = {}
    for strength in STRENGTHS:
        precisions = []
        for wanted, unwanted in pairs:
            parts = [vectors[wanted]] + ([vectors[unwanted]] if strength else [])
            query = composed(parts, [1.0, -strength / AWAY][: len(parts)])
            precisions.append(average_precision(pictures @ query, marks[wanted] & ~marks[unwanted]))
        found[strength] = float(np.mean(precisions))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.negation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--model", default="models/retrieval", help="an encoder's folder or hub id")
    options = parser.parse_args(argv)
    try:
        photos = read_split(options.photos, "dev")
        encoder = load_encoder(options.model, Engines())
        marks = shown(photos, NOUNS)
        pairs = pairs_of(marks)
        pictures = encode_pictures(encoder, photos)
        vectors = dict(zip(NOUNS, encode_texts(encoder, NOUNS), strict=True))
        literal = encode_texts(encoder, [f"{wanted} -{unwanted}" for wanted, unwanted in pairs])
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(f"{len(pairs)} pairs of nouns, {len(photos)} pictures\nstrength  mAP in percent\n")
    for strength, precision in measure(vectors, pictures, marks, pairs).items():
        sys.stdout.write(f"{strength:8.2f}  {100 * precision:.1f}\n")
    as_text = [average_precision(pictures @ v, marks[a] & ~marks[b]) for v, (a, b) in zip(literal, pairs, strict=True)]
    sys.stdout.write(f"{100 * float(np.mean(as_text)):18.1f}  the words as they stand\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
