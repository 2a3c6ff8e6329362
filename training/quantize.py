"""A compact model in integers: its picture network in 8 bits and, of a retrieval model, the head over it in line.

    python -m training.quantize --photos DIR [--drawn DIR] --model FOLDER --out FOLDER

The network is quantised layer by layer on some training pictures. A captioner's decoder stays as it is. The picture
head of a retrieval model learns to give, from the integer network's features, the vectors of the model in floating
point (Hinton et al., 2015, "Distilling the Knowledge in a Neural Network", with the cosine for a loss); no caption has
a part in it. Its relevance must be fitted anew.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.engines.export import run_in_fastest
from imagetext.engines.network import example_pictures
from imagetext.engines.program import Program
from imagetext.models.backbone import IN_INTEGERS, Backbone, load_backbone
from imagetext.models.encoder.calibration import BACKGROUND
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.models.encoder.minilm import Head, load_minilm
from imagetext.models.encoder.towers import PictureTower
from imagetext.models.folder import CARD, CONFIG, ModelFolder
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.wire.errors import ImageTextError
from training.cards import quantized_card
from training.dataset import CaptionedPicture, read_split
from training.encoded import encode_pictures, encode_texts
from training.evaluation import retrieval_scores
from training.features import views_of
from training.quantizing import CAPTIONER, quantize_captioner, quantized_on
from training.served_features import Pooled
from training.tuning import starting_encoder

VIEWS = 2  # of each photograph: whole and mirrored
BATCH = 8
EPOCHS = 30
ROWS = 500  # of a step
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
SEED = 1

Views = list[NDArray[np.uint8]]


def features_and_vectors(
    encoder: Encoder, backbone: Backbone, sets: Sequence[tuple[Sequence[CaptionedPicture], int]]
) -> tuple[Tensor, Tensor]:
    """Of each view of all pictures what the integer network gives (n, channels), and the vector it stands for."""
    examples = torch.from_numpy(example_pictures(encoder.transform.size))
    tower = PictureTower(encoder.transform, Pooled(backbone)).eval()
    program = Program("pooled", tower, (examples[:1],), ((0,),), ((examples,),))
    pooled = run_in_fastest(program)
    features, vectors = [], []
    for batch in _views(encoder, sets):
        features.append(np.array(pooled(np.stack(batch))[0]))
        vectors.append(encoder.encode_pictures(batch))
    return torch.from_numpy(np.concatenate(features)), torch.from_numpy(np.concatenate(vectors))


def _views(encoder: Encoder, sets: Sequence[tuple[Sequence[CaptionedPicture], int]]) -> Iterator[Views]:
    """Batches; the next pictures are read while a batch is used."""
    wanted = [(picture, views) for pictures, views in sets for picture in pictures]
    waiting: Views = []
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(wanted), BATCH), desc="pictures", unit="batch"):
            some = wanted[start : start + BATCH]
            for cuts in pool.map(lambda each: views_of(each[0], each[1], encoder.transform), some):
                waiting += cuts
            while len(waiting) >= BATCH:
                yield waiting[:BATCH]
                del waiting[:BATCH]
    if waiting:
        yield waiting


def teach(head: Head, features: Tensor, vectors: Tensor) -> None:
    """Bring a head in line with the vectors (n, dimensions) that belong to the features (n, channels)."""
    torch.manual_seed(SEED)
    head.eval()  # nothing is dropped: what is to be learned is a small correction, and the same for all
    steps = EPOCHS * -(-len(features) // ROWS)
    optimizer = AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    bar = tqdm(range(EPOCHS), desc="head", unit="pass")
    for _ in bar:
        losses = []
        for rows in torch.split(torch.randperm(len(features)), ROWS):
            loss = 1 - (head(features[rows]) * vectors[rows]).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss))
        bar.set_postfix(cosine=round(1 - float(np.mean(losses)), 4))
    head.requires_grad_(False)


def scores(encoder: Encoder, pictures: Sequence[CaptionedPicture], captions: int) -> dict[str, float]:
    """Recall with the first captions of each picture, as the model is served."""
    texts = [caption for picture in pictures for caption in picture.captions[:captions]]
    owner = [row for row, picture in enumerate(pictures) for _ in picture.captions[:captions]]
    return retrieval_scores(encode_texts(encoder, texts), encode_pictures(encoder, pictures), owner)


def write(source: Path, folder: Path, encoder: DualEncoder, card: str) -> None:
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"backbone": IN_INTEGERS}
    tensors = (
        changed_tensors("picture_head", encoder.picture_head)
        | changed_tensors("text_head", encoder.text_head)
        | changed_tensors("backbone", encoder.backbone, load_backbone(IN_INTEGERS).state_dict())
        | changed_tensors("bert", encoder.text_tower.bert, load_minilm()[0].state_dict())
    )
    write_model_folder(folder, config, tensors, card)
    if (source / BACKGROUND).exists() and source != folder:
        shutil.copy(source / BACKGROUND, folder / BACKGROUND)


def quantize(photos: Path, drawn: Path | None, source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Writes the model and gives its scores on the dev splits."""
    encoder = starting_encoder(str(source))
    train = read_split(photos, "train")
    backbone = quantized_on(train, encoder.backbone, encoder.transform)
    sets = [(train, VIEWS)] + ([(read_split(drawn, "train"), 1)] if drawn else [])
    features, vectors = features_and_vectors(load_encoder(source, Engines()), backbone, sets)
    teach(encoder.picture_head, features, vectors)
    encoder.backbone = backbone
    card = (source / CARD).read_text(encoding="utf-8")
    write(source, folder, encoder, card)
    served = load_encoder(folder, Engines())
    found = {"photos": scores(served, read_split(photos, "dev"), 5)}
    if drawn:
        found["drawn"] = scores(served, read_split(drawn, "dev"), 1)
    (folder / CARD).write_text(quantized_card(card, found), encoding="utf-8")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.quantize", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model in floating point")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    options = parser.parse_args(argv)
    try:
        if ModelFolder.open(options.model).config.get("kind") == CAPTIONER:
            found = quantize_captioner(options.photos, options.model, options.out)
        else:
            found = quantize(options.photos, options.drawn, options.model, options.out)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
