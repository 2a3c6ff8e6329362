"""The encoders that ours are compared with: the float32 network behind an int8 one, texts as transformers' pages encode
them, and a folder of pictures through torch's DataLoader, as its documentation shows.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from imagetext.machine import usable_cores
from imagetext.models.backbone import EFFICIENTNET_LITE0, Backbone, load_backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.efficientnet import ConvNorm
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.quantized import QuantizedConv, is_quantized
from imagetext.models.transform import PictureTransform

LEAST_COSINE = 0.95  # of vectors with and without rounding; below it the weights differ
BATCH = 32
Network = Callable[[Tensor], Tensor]  # scaled pictures (n, 3, size, size) -> unit rows


def in_float32(model: DualEncoder, *, norms: bool = True) -> DualEncoder:
    """The same model, in torch, with its picture network in float32."""
    return DualEncoder(
        model.name,
        model.fingerprint,
        _plain(model.backbone, norms),
        model.picture_head,
        model.text_tower,
        model.text_head,
        model.transform,
        model.calibration,
        model.concepts,
        model.labels,
    )


def captioner_in_float32(captioner: CaptionModel) -> CaptionModel:
    """The same captioner with its picture network in float32; itself if it already is."""
    if not is_quantized(captioner.backbone):
        return captioner
    assert isinstance(captioner.backbone, Backbone)
    return CaptionModel(
        captioner.name,
        captioner.fingerprint,
        _plain(captioner.backbone, norms=True),
        captioner.decoder,
        captioner.vocabulary,
        captioner.transform,
        captioner.length_exponent,
    )


def require_the_same_network(plain: NDArray[np.float32], rounded: NDArray[np.float32]) -> None:
    """Raises ValueError if the unit rows (n, dimensions) of the two differ by more than rounding."""
    lowest = float((plain * rounded).sum(1).min())
    if lowest < LEAST_COSINE:
        raise ValueError(f"the rival is another network: the cosine is {lowest:.3f}")


@torch.no_grad()
def _plain(integers: Backbone, norms: bool) -> Backbone:
    """The same weights in the layers used for training: convolution, norm, activation, without rounding.

    With rounding torch takes two and a half times as long, which would flatter us. With the norms folded into the
    weights it takes a seventh less; but folding is what an engine does.
    """
    plain = load_backbone(EFFICIENTNET_LITE0)
    layers = [part for part in integers.modules() if isinstance(part, QuantizedConv)]
    originals = [part for part in plain.modules() if isinstance(part, ConvNorm)]
    for layer, original in zip(layers, originals, strict=True):
        _copy(layer, original, norms)
    return plain


def _copy(layer: QuantizedConv, original: ConvNorm, norms: bool) -> None:
    """Converts the layer's units back to those of the network."""
    norm, bias = original.norm, layer.conv.bias
    assert bias is not None
    original.conv.weight.copy_(layer.conv.weight / layer.scale)
    if not norms:
        original.conv.bias = nn.Parameter(bias / layer.unit, requires_grad=False)
        original.norm = nn.Identity()  # type: ignore[assignment]
        return
    for tensor, value in ((norm.weight, 1.0), (norm.running_mean, 0.0), (norm.running_var, 1 - norm.eps)):
        assert tensor is not None
        tensor.fill_(value)
    norm.bias.copy_(bias / layer.unit)


@torch.inference_mode()
def minilm_texts(bert: Any, tokenizer: Any, head: nn.Module, texts: Sequence[str]) -> Tensor:
    """Mean pooling as on the card of all-MiniLM-L6-v2, and the compact model's head: unit rows (n, dimensions)."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    states = bert(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).expand(states.size()).float()
    pooled = torch.sum(states * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
    rows: Tensor = head(pooled)
    return rows


@torch.inference_mode()
def clip_texts(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Unit rows (n, dimensions)."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    found = model.get_text_features(**batch).pooler_output
    return F.normalize(found, dim=-1)


class Pictures(Dataset[Tensor]):
    """A folder's JPEGs, decoded, resized and scaled: (3, size, size) float32."""

    def __init__(self, folder: Path, transform: PictureTransform) -> None:
        self.files: Sequence[Path] = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Tensor:
        size = self.transform.size
        with Image.open(self.files[place]) as picture:
            small = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)[None]
        return torch.from_numpy(self.transform.scale(pixels)[0])


@torch.inference_mode()
def vectors_of(
    folder: Path, transform: PictureTransform, network: Network, *, seconds: float = math.inf
) -> NDArray[np.float32]:
    """Unit rows (n, dimensions) in the order of the names; no batch is started after `seconds`."""
    workers, began, rows = usable_cores(), time.perf_counter(), []
    for batch in DataLoader(Pictures(folder, transform), batch_size=BATCH, num_workers=workers):
        rows.append(network(batch))
        if time.perf_counter() - began > seconds:
            break
    found: NDArray[np.float32] = torch.cat(rows).numpy()
    return found
