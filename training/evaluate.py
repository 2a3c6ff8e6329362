"""The scores of the model folders as they are served, on the dev split.

python -m training.evaluate --photos DIR [--drawn DIR] --retrieval models/retrieval --captioner models/caption-gru
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.captioner.vocabulary import words_of
from imagetext.encoder.engine import Encoder, load_encoder
from imagetext.pictures import open_picture
from training.dataset import CaptionedPicture, read_split
from training.evaluation import retrieval_scores
from training.metrics import caption_scores

Item = TypeVar("Item")

BATCH = 32
BEAMS = 3


def evaluate_captioner(captioner: Captioner, pictures: Sequence[CaptionedPicture]) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D, beam 3, in the units of the COCO toolkit."""
    options = DecodingOptions(num_beams=BEAMS)
    captions: list[str] = []
    for inputs in _prepared(captioner, pictures):
        captions += [found[0].text for found in captioner.caption(inputs, options)]
    references = [[words_of(caption) for caption in picture.captions] for picture in pictures]
    return caption_scores([words_of(caption) for caption in captions], references)


def evaluate_encoder(encoder: Encoder, pictures: Sequence[CaptionedPicture], captions_each: int) -> dict[str, float]:
    """Recall in percent and median rank, both ways, with the first `captions_each` captions of every picture."""
    vectors = np.concatenate([encoder.encode_pictures(inputs) for inputs in _prepared(encoder, pictures)])
    texts = [caption for picture in pictures for caption in picture.captions[:captions_each]]
    owner = [row for row in range(len(pictures)) for _ in range(captions_each)]
    encoded = np.concatenate([encoder.encode_texts(batch) for batch in tqdm(_batches(texts), desc="captions")])
    return retrieval_scores(encoded, vectors, owner)


def _prepared(model: Captioner | Encoder, pictures: Sequence[CaptionedPicture]) -> "tqdm[list[NDArray[np.uint8]]]":
    with ThreadPoolExecutor(2) as pool:
        inputs = list(pool.map(lambda picture: model.prepare(open_picture(picture.path)), pictures))
    return tqdm(_batches(inputs), desc=model.name, unit="batch")


def _batches(items: Sequence[Item]) -> list[list[Item]]:
    return [list(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]


def table(title: str, scores: dict[str, float], digits: int) -> str:
    """Scores as a table of two lines."""
    widths = [max(len(name), 8) for name in scores]
    names = "  ".join(name.rjust(width) for name, width in zip(scores, widths, strict=True))
    values = "  ".join(f"{value:.{digits}f}".rjust(width) for value, width in zip(scores.values(), widths, strict=True))
    return f"{title}\n  {names}\n  {values}\n"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument("--retrieval", required=True, help="an encoder: a model folder, a CLIP folder or a hub id")
    parser.add_argument("--captioner", required=True, help="a captioner's model folder")
    parser.add_argument("--json", action="store_true", help="print one line of JSON and no table")
    arguments = parser.parse_args(argv)
    photos = read_split(arguments.photos, "dev")
    encoder, captioner = load_encoder(arguments.retrieval), load_captioner(arguments.captioner)
    found = {
        "captions": evaluate_captioner(captioner, photos),
        "retrieval": evaluate_encoder(encoder, photos, captions_each=5),
    }
    if arguments.drawn:
        drawn = read_split(arguments.drawn, "dev")
        found["retrieval, drawn scenes"] = evaluate_encoder(encoder, drawn, captions_each=1)
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for title, scores in found.items():
        sys.stdout.write("\n" + table(f"{title} (dev split)", scores, 4 if title == "captions" else 1))


if __name__ == "__main__":
    main()
