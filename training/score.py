"""The scores of anybody's captions, as JSON.

python -m training.score --references Flickr8k.token.txt --captions captions.json [--train FILE] [--meteor JAR]

The captions are one JSON object, {picture name: caption}; the references are lines of NAME#NUMBER<TAB>CAPTION, the
layout of Flickr8k. Pictures without a caption are left out, so the references may be those of a whole data set.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imagetext.wire.errors import ImageTextError, InvalidParameter
from training.dataset import read_captions
from training.scored_captions import JAR_VARIABLE, ScoredCaptions, meteor_if_possible

DIGITS = 6


def read_generated(file: Path) -> dict[str, str]:
    """The captions of a JSON file, {picture name: caption}.

    Raises:
        InvalidParameter: missing, empty, not JSON, not an object, a name twice, or a caption that is no string.
    """
    try:
        found = json.loads(_text(file), object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise InvalidParameter(f"{file.name} is not JSON: line {error.lineno}, column {error.colno}.") from error
    if not isinstance(found, dict):
        raise InvalidParameter(f"{file.name} must hold one JSON object: picture names with their captions.")
    if not found:
        raise InvalidParameter(f"{file.name} holds no captions.")
    for name, caption in found.items():
        if not isinstance(caption, str):
            raise InvalidParameter(f"The caption of {name} is not a string.")
    return found


def read_references(file: Path) -> dict[str, tuple[str, ...]]:
    """As `read_captions`, with an error for a file that holds nothing."""
    _text(file)
    return read_captions(file)


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"{file.name} is not UTF-8 text.") from error
    except OSError as error:
        raise InvalidParameter(f"{file} is missing or cannot be read.") from error
    if not text.strip():
        raise InvalidParameter(f"{file.name} is empty.")
    return text


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise InvalidParameter(f"{double} has more than one caption.")
    return found


def score(
    generated: dict[str, str],
    references: dict[str, tuple[str, ...]],
    known: Sequence[str] | None = None,
    jar: str | None = None,
) -> dict[str, float]:
    """All scores of `generated`, each in the unit of the COCO toolkit.

    Raises:
        InvalidParameter: a picture has no references.
    """
    without = [name for name in generated if name not in references]
    if without:
        raise InvalidParameter(f"{len(without)} of {len(generated)} pictures have no references, first {without[0]}.")
    captions, wanted = list(generated.values()), [references[name] for name in generated]
    scored = ScoredCaptions(captions, wanted, known, meteor_if_possible(captions, wanted, jar))
    found = scored.scores(np.arange(len(captions)))
    rounded = {name: round(value, DIGITS) for name, value in found.items()}
    return rounded | {"distinct_words": scored.distinct_words, "pictures": len(captions)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.score", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--references", type=Path, required=True, metavar="FILE", help="lines of NAME#NUMBER<TAB>CAPTION"
    )
    parser.add_argument("--captions", type=Path, required=True, metavar="FILE", help="JSON, {picture name: caption}")
    parser.add_argument("--train", type=Path, metavar="FILE", help="training captions, to tell the share of new ones")
    parser.add_argument(
        "--meteor", metavar="JAR", help=f"meteor-1.5.jar; else {JAR_VARIABLE}, else that of pycocoevalcap"
    )
    options = parser.parse_args(argv)
    try:
        generated, references = read_generated(options.captions), read_references(options.references)
        train = read_references(options.train).values() if options.train else None
        known = None if train is None else [caption for captions in train for caption in captions]
        found = score(generated, references, known, options.meteor or os.environ.get(JAR_VARIABLE))
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
