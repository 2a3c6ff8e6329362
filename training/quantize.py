"""A compact model in int8: its picture network in 8 bits and, for a retrieval model, the head over it adapted.

    python -m training.quantize --photos DIR [--drawn DIR] --model FOLDER --out FOLDER

EfficientNet-Lite0 is quantised layer by layer, without training. Both networks see the same training pictures; each
int8 layer is fitted to the real outputs of the layers before it: its step to the smallest squared error, its bias so
that the mean of each channel equals that in floating point (Nagel et al., 2019, "Data-Free Quantization", section 4.2,
with pictures instead of statistics). A captioner's decoder stays as it is. The picture head of a retrieval model learns
to reproduce the vectors of the floating-point model from the int8 features (Hinton et al., 2015, "Distilling the
Knowledge in a Neural Network", with the cosine as the loss); captions play no part. Its relevance must be fitted anew.
"""

import json
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.engines.export import Program, run_in_fastest
from imagetext.engines.int8 import SIGNED, UNSIGNED
from imagetext.engines.network import example_pictures
from imagetext.models.backbone import IN_INTEGERS, Backbone, load_backbone
from imagetext.models.captioner.engine import Captioner, load_captioner
from imagetext.models.captioner.model import load_in_torch
from imagetext.models.captioner.vocabulary import Vocabulary, words_of
from imagetext.models.efficientnet import ConvNorm, InvertedResidual, padded
from imagetext.models.encoder.calibration import BACKGROUND
from imagetext.models.encoder.engine import Encoder, load_encoder
from imagetext.models.encoder.minilm import Head
from imagetext.models.encoder.towers import PictureTower
from imagetext.models.folder import CARD, CONFIG, ModelFolder
from imagetext.models.quantized import (
    FINEST,
    WIDE,
    QuantizedConv,
    QuantizedResidual,
    Rounding,
    is_quantized,
    quantized_weights,
)
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import InvalidParameter
from training.cards import quantized_captioner_card, quantized_card
from training.command import add_folders, command_parser, exit_status, write_captioner, write_encoder
from training.dataset import CaptionedPicture, read_split
from training.encoded import caption_pictures, encode_pictures, encode_texts
from training.features import views_of
from training.metrics import caption_scores
from training.ranking import retrieval_scores
from training.served_features import Pooled
from training.tuning import starting_encoder

CAPTIONER = "captioner"  # the kind in a model folder's config
CALIBRATION = 64  # training pictures to quantise a network on
FINER = 2  # powers of two below the one that clips nothing
SAMPLE = 2**20  # numbers that a step is fitted to
VIEWS = 2  # of each photograph: whole and mirrored
BATCH = 8
EPOCHS = 30
ROWS = 500  # of a step
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
SEED = 1
BEAMS = 3

Pair = tuple[Tensor, Tensor]  # outputs of the int8 network, in its units, and of the one in floating point
Views = list[NDArray[np.uint8]]


def quantized_on(pictures: Sequence[CaptionedPicture], backbone: Backbone, transform: PictureTransform) -> Backbone:
    """As `quantized`, on some pictures of a train split."""
    some = pictures[:: max(1, len(pictures) // CALIBRATION)][:CALIBRATION]
    prepared = np.stack([views_of(picture, 1, transform)[0] for picture in some])
    return quantized(backbone, torch.from_numpy(transform.scale(prepared)))


@torch.inference_mode()
def quantized(backbone: Backbone, pictures: Tensor) -> Backbone:
    """An int8 EfficientNet-Lite0, fitted on scaled pictures (n, 3, size, size)."""
    found = load_backbone(IN_INTEGERS)
    first, *layers = _layers(found)
    rounding = cast(Rounding, first)
    pair, step = (rounding(pictures), pictures), rounding.step
    for layer, original in zip(tqdm(layers, desc="layers"), _layers(backbone), strict=True):
        if isinstance(layer, QuantizedConv):
            pair, step = _conv(layer, cast(ConvNorm, original), pair, step)
        else:
            pair, step = _residual(cast(QuantizedResidual, layer), cast(InvertedResidual, original), pair, step)
    return found


def _layers(backbone: Backbone) -> list[nn.Module]:
    return [*backbone.trunk.children(), *backbone.top.children()]


def _residual(layer: QuantizedResidual, original: InvertedResidual, pair: Pair, step: Tensor) -> tuple[Pair, Tensor]:
    inner, inner_step = pair, step
    if isinstance(layer.expand, QuantizedConv):
        inner, inner_step = _conv(layer.expand, cast(ConvNorm, original.expand), inner, inner_step)
    inner, inner_step = _conv(layer.depthwise, original.depthwise, inner, inner_step)
    inner, inner_step = _conv(layer.project, original.project, inner, inner_step)
    if not layer.skip:
        return inner, inner_step
    mine = pair[0] + inner[0]
    return (_rounded(cast(Rounding, layer.rounding), mine), pair[1] + inner[1]), cast(Rounding, layer.rounding).step


def _conv(layer: QuantizedConv, original: ConvNorm, pair: Pair, step: Tensor) -> tuple[Pair, Tensor]:
    """Fit a layer whose input has this step; also returns its own step."""
    weight, weight_step = quantized_weights(original, layer.scale)
    layer.conv.weight.copy_(weight)
    layer.weight_rounding.step.copy_(weight_step)
    layer.conv.bias = nn.Parameter(torch.zeros(len(weight)), requires_grad=False)
    mine, theirs = layer.summed(pair[0]), original.norm(original.conv(padded(pair[1], original.conv)))
    shift = (theirs * layer.unit - mine).mean((0, 2, 3))
    sum_step = step * weight_step
    # Rounded to multiples of the sums' step, then to the float16 of model folders, which can only be coarser.
    layer.conv.bias.copy_(((shift / sum_step).round() * sum_step).half())
    mine = layer.activated(mine + layer.conv.bias[:, None, None])
    theirs = F.relu6(theirs) if layer.act else theirs
    if not isinstance(layer.rounding, Rounding):
        return (mine, theirs), step
    rounded = layer.rounding(mine) if layer.unit == WIDE else _rounded(layer.rounding, mine)
    return (rounded, theirs), layer.rounding.step


def _rounded(rounding: Rounding, x: Tensor) -> Tensor:
    rounding.set_step(activation_step(x, *(SIGNED if rounding.signed else UNSIGNED)))
    y: Tensor = rounding(x)
    return y


def activation_step(x: Tensor, lowest: int, highest: int) -> float:
    """The power of two whose multiples between `lowest` and `highest` times it are closest to `x`, in mean square."""
    numbers = x.flatten()
    sample = numbers[:: max(1, len(numbers) // SAMPLE)]
    coarsest = math.ceil(math.log2(max(float(x.abs().max()), 2.0**FINEST) / highest))
    steps = [2.0 ** max(FINEST, coarsest - finer) for finer in range(FINER + 1)]
    return min(
        steps, key=lambda step: float(((sample / step).round().clamp(lowest, highest) * step - sample).square().sum())
    )


def quantize_captioner(photos: Path, source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Writes the model; returns its scores on the dev split.

    Raises:
        InvalidParameter: it is not a compact captioner, or already in int8.
    """
    captioner = load_in_torch(source)
    if not isinstance(captioner.backbone, Backbone) or is_quantized(captioner.backbone):
        raise InvalidParameter(f"{source} is not a compact captioner in floating point.")
    backbone = quantized_on(read_split(photos, "train"), captioner.backbone, captioner.transform)
    card = (source / CARD).read_text(encoding="utf-8")
    assert isinstance(captioner.vocabulary, Vocabulary)
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"backbone": IN_INTEGERS}
    write_captioner(folder, config, captioner.decoder, backbone, captioner.vocabulary, card)
    found = caption_dev_scores(load_captioner(folder, Engines()), read_split(photos, "dev"))
    (folder / CARD).write_text(quantized_captioner_card(card, found, BEAMS), encoding="utf-8")
    return {"photos": found}


def caption_dev_scores(captioner: Captioner, pictures: Sequence[CaptionedPicture]) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D of the served model."""
    found = [words_of(caption.text) for caption in caption_pictures(captioner, pictures, BEAMS)]
    references = [[words_of(caption) for caption in picture.captions] for picture in pictures]
    return {name: round(score, 4) for name, score in caption_scores(found, references).items()}


def quantize_encoder(photos: Path, drawn: Path | None, source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Writes the model; returns its scores on the dev splits."""
    encoder = starting_encoder(str(source))
    train = read_split(photos, "train")
    backbone = quantized_on(train, encoder.backbone, encoder.transform)
    sets = [(train, VIEWS)] + ([(read_split(drawn, "train"), 1)] if drawn else [])
    features, vectors = features_and_vectors(load_encoder(source, Engines()), backbone, sets)
    teach(encoder.picture_head, features, vectors)
    encoder.backbone = backbone
    card = (source / CARD).read_text(encoding="utf-8")
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"backbone": IN_INTEGERS}
    heads = {"picture_head": encoder.picture_head, "text_head": encoder.text_head}
    write_encoder(folder, config, heads, backbone, encoder.text_tower.bert, card)
    if (source / BACKGROUND).exists() and source != folder:
        shutil.copy(source / BACKGROUND, folder / BACKGROUND)
    served = load_encoder(folder, Engines())
    found = {"photos": retrieval_dev_scores(served, read_split(photos, "dev"), 5)}
    if drawn:
        found["drawn"] = retrieval_dev_scores(served, read_split(drawn, "dev"), 1)
    (folder / CARD).write_text(quantized_card(card, found), encoding="utf-8")
    return found


def features_and_vectors(
    encoder: Encoder, backbone: Backbone, sets: Sequence[tuple[Sequence[CaptionedPicture], int]]
) -> tuple[Tensor, Tensor]:
    """For each view of all pictures the int8 features (n, channels), and the vectors to learn (n, dimensions)."""
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
    """Batches of views; the next pictures are read while a batch is in use."""
    planned = [(picture, views) for pictures, views in sets for picture in pictures]
    waiting: Views = []
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(planned), BATCH), desc="pictures", unit="batch"):
            some = planned[start : start + BATCH]
            for cuts in pool.map(lambda each: views_of(each[0], each[1], encoder.transform), some):
                waiting += cuts
            while len(waiting) >= BATCH:
                yield waiting[:BATCH]
                del waiting[:BATCH]
    if waiting:
        yield waiting


def teach(head: Head, features: Tensor, vectors: Tensor) -> None:
    """Adapt a head to give the vectors (n, dimensions) for the features (n, channels)."""
    torch.manual_seed(SEED)
    head.eval()  # no dropout: the correction to learn is small, and the same for all
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


def retrieval_dev_scores(encoder: Encoder, pictures: Sequence[CaptionedPicture], captions: int) -> dict[str, float]:
    """Recall of the served model, with the first captions of each picture."""
    texts = [caption for picture in pictures for caption in picture.captions[:captions]]
    owner = [row for row, picture in enumerate(pictures) for _ in picture.captions[:captions]]
    return retrieval_scores(encode_texts(encoder, texts), encode_pictures(encoder, pictures), owner)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("quantize", __doc__)
    add_folders(parser, "photos", "out", optional=["drawn"])
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model in floating point")
    options = parser.parse_args(argv)

    def quantize() -> None:
        if ModelFolder.open(options.model).config.get("kind") == CAPTIONER:
            found = quantize_captioner(options.photos, options.model, options.out)
        else:
            found = quantize_encoder(options.photos, options.drawn, options.model, options.out)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")

    return exit_status(quantize)


if __name__ == "__main__":
    sys.exit(main())
