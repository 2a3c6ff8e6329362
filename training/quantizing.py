"""EfficientNet-Lite0 from floating point to 8-bit integers, layer by layer, without training.

Both networks see the same pictures. Each layer of the integer one is fitted to what the layers before it really give:
its steps to the smallest squared error, its bias so that the mean of each channel is again the one in floating point
(Nagel et al., 2019, "Data-Free Quantization", section 4.2; on pictures instead of statistics).

A compact captioner in integers: its picture network in 8 bits, and the decoder over it as it is.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.engines import Engines
from imagetext.engines.int8 import SIGNED, UNSIGNED
from imagetext.models.backbone import IN_INTEGERS, Backbone, load_backbone
from imagetext.models.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.models.captioner.model import CaptionModel, load_in_torch
from imagetext.models.captioner.vocabulary import Vocabulary, words_of
from imagetext.models.efficientnet import ConvNorm, InvertedResidual, padded
from imagetext.models.folder import CARD, CONFIG
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
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter
from training.cards import quantized_captioner_card
from training.dataset import CaptionedPicture, read_split
from training.features import views_of
from training.metrics import caption_scores

CALIBRATION = 64  # training pictures that a network is quantised on
FINER = 2  # powers of two below the one that cuts nothing off
SAMPLE = 2**20  # numbers that a step is fitted to

Pair = tuple[Tensor, Tensor]  # what the integer network gives, in its units, and the one in floating point


def quantized_on(pictures: Sequence[CaptionedPicture], backbone: Backbone, transform: PictureTransform) -> Backbone:
    """As `quantized`, on some of the pictures of a train split."""
    some = pictures[:: max(1, len(pictures) // CALIBRATION)][:CALIBRATION]
    prepared = np.stack([views_of(picture, 1, transform)[0] for picture in some])
    return quantized(backbone, torch.from_numpy(transform.scale(prepared)))


@torch.inference_mode()
def quantized(backbone: Backbone, pictures: Tensor) -> Backbone:
    """An EfficientNet-Lite0 in integers, fitted on scaled pictures (n, 3, size, size)."""
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
    """Fits a layer whose input has this step; gives its own step, too."""
    weight, weight_step = quantized_weights(original, layer.scale)
    layer.conv.weight.copy_(weight)
    layer.weight_rounding.step.copy_(weight_step)
    layer.conv.bias = nn.Parameter(torch.zeros(len(weight)), requires_grad=False)
    mine, theirs = layer.summed(pair[0]), original.norm(original.conv(padded(pair[1], original.conv)))
    shift = (theirs * layer.unit - mine).mean((0, 2, 3))
    sum_step = step * weight_step
    # To whole multiples of the sums' step, then as model folders keep it, which can only make it coarser.
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
    """The power of two whose whole multiples between two numbers come nearest to `x`, in the mean square."""
    numbers = x.flatten()
    sample = numbers[:: max(1, len(numbers) // SAMPLE)]
    coarsest = math.ceil(math.log2(max(float(x.abs().max()), 2.0**FINEST) / highest))
    steps = [2.0 ** max(FINEST, coarsest - finer) for finer in range(FINER + 1)]
    return min(
        steps, key=lambda step: float(((sample / step).round().clamp(lowest, highest) * step - sample).square().sum())
    )


CAPTIONER = "captioner"  # the kind that a model folder's config names
BEAMS = 3
BATCH = 16


def quantize_captioner(photos: Path, source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Writes the model and gives its scores on the dev split.

    Raises:
        InvalidParameter: it is no compact captioner, or in integers already.
    """
    captioner = load_in_torch(source)
    if not isinstance(captioner.backbone, Backbone) or is_quantized(captioner.backbone):
        raise InvalidParameter(f"{source} is no compact captioner in floating point.")
    backbone = quantized_on(read_split(photos, "train"), captioner.backbone, captioner.transform)
    card = (source / CARD).read_text(encoding="utf-8")
    write(source, folder, captioner, backbone, card)
    found = scores(load_captioner(folder, Engines()), read_split(photos, "dev"))
    (folder / CARD).write_text(quantized_captioner_card(card, found, BEAMS), encoding="utf-8")
    return {"photos": found}


def scores(captioner: Captioner, pictures: Sequence[CaptionedPicture]) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D, as the model is served."""
    options, said = DecodingOptions(num_beams=BEAMS), list[list[str]]()
    for start in tqdm(range(0, len(pictures), BATCH), desc="dev", unit="batch"):
        batch = pictures[start : start + BATCH]
        inputs = [captioner.prepare(open_picture(picture.path, target=captioner.decoded_side)) for picture in batch]
        said += [words_of(found[0].text) for found in captioner.caption(inputs, options)]
    references = [[words_of(caption) for caption in picture.captions] for picture in pictures]
    return {name: round(score, 4) for name, score in caption_scores(said, references).items()}


def write(source: Path, folder: Path, captioner: CaptionModel, backbone: Backbone, card: str) -> None:
    assert isinstance(captioner.vocabulary, Vocabulary)
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"backbone": IN_INTEGERS}
    start = load_backbone(IN_INTEGERS).state_dict()
    tensors = changed_tensors("decoder", captioner.decoder) | changed_tensors("backbone", backbone, start)
    words = "\n".join(captioner.vocabulary.words) + "\n"
    write_model_folder(folder, config, tensors, card, {"vocabulary.txt": words})
