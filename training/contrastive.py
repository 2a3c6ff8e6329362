"""Contrastive training: first the heads on the towers as they come, then the upper layers of the towers with them."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.backbone import Backbone
from imagetext.models.encoder.minilm import PAD, Head, pooled_grid, text_states
from training.features import WHOLE
from training.loop import Stepper
from training.pairs import Drawn, PairSet, pair_batches
from training.processes import mixed_precision
from training.tuning import tune_top

START_TEMPERATURE = 0.05
LARGEST_SCALE = 100.0
ENCODED = 50  # pictures at once, with all their captions


class Matcher(Protocol):
    """What is trained: drawn pictures and captions -> scaled similarities (captions drawn, n texts, n pictures)."""

    def __call__(self, part: PairSet, drawn: Drawn) -> Tensor: ...
    def train(self, mode: bool = True) -> object: ...


class Heads(nn.Module):
    """Both heads, on what the untuned towers give, and the temperature of the loss (Radford et al., 2021, 2.3)."""

    def __init__(self, picture: Head, text: Head) -> None:
        super().__init__()
        self.picture = picture
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / START_TEMPERATURE)))

    def forward(self, part: PairSet, drawn: Drawn) -> Tensor:
        # bfloat16 products halve the time of a step on processors that have them; similarities stay in float32.
        with mixed_precision(enabled=self.training):
            pictures = self.picture(part.pooled[drawn.rows, drawn.views])
            texts = self.text(part.states[drawn.rows[:, None], drawn.captions])
        return self.similarities(pictures, texts)

    @torch.no_grad()
    def encode(self, part: PairSet) -> tuple[Tensor, Tensor]:
        """Unit rows of all captions (n, captions, dimensions) and of all whole pictures (n, dimensions)."""
        return self.text(part.states), self.picture(part.pooled[:, WHOLE])

    def similarities(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """Unit rows (n, dimensions) and (n, captions, dimensions) -> (captions, n texts, n pictures)."""
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        return texts.float().transpose(0, 1) @ pictures.float().T * scale


class Towers(nn.Module):
    """The heads with what is tuned under them: the picture network's top and MiniLM's last layers."""

    def __init__(self, heads: Heads, backbone: Backbone, bert: nn.Module, text_layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.backbone = backbone
        self.bert = bert
        tune_top(backbone)
        layers = bert.encoder.layer  # type: ignore[union-attr]
        bert.requires_grad_(False)
        for layer in layers[len(layers) - text_layers :]:  # type: ignore[arg-type,index]
            layer.requires_grad_(True)

    def train(self, mode: bool = True) -> "Towers":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, part: PairSet, drawn: Drawn) -> Tensor:
        with mixed_precision(enabled=self.training):
            pictures = self.pictures(part.features.of(drawn.rows, drawn.views))
            texts = self.texts(part.tokens[drawn.rows[:, None], drawn.captions].flatten(0, 1))
        return self.heads.similarities(pictures, texts.view(*drawn.captions.shape, -1))

    @torch.no_grad()
    def encode(self, part: PairSet) -> tuple[Tensor, Tensor]:
        """Unit rows of all captions (n, captions, dimensions) and of all whole pictures (n, dimensions)."""
        pictures, texts = [], []
        with mixed_precision():
            for rows in torch.split(torch.arange(len(part)), ENCODED):
                pictures.append(self.pictures(part.features.of(rows, torch.full_like(rows, WHOLE))).float())
                texts.append(
                    self.texts(part.tokens[rows].flatten(0, 1)).float().view(len(rows), part.tokens.shape[1], -1)
                )
        return torch.cat(texts), torch.cat(pictures)

    def pictures(self, maps: Tensor) -> Tensor:
        """The trunk's maps -> unit rows (n, dimensions)."""
        vectors: Tensor = self.heads.picture(pooled_grid(self.backbone.grid(maps)))
        return vectors

    def texts(self, tokens: Tensor) -> Tensor:
        """Token ids (n, steps), padded with 0 -> unit rows (n, dimensions)."""
        longest = int((tokens != PAD).sum(1).max())
        vectors: Tensor = self.heads.text(text_states(self.bert, tokens[:, :longest]))
        return vectors


def contrastive_pass(
    matcher: Matcher, stepper: Stepper, sets: Sequence[PairSet], batch: int, captions: int, label: str
) -> float:
    """Train on every set's part of this pass; returns the mean loss in nats."""
    matcher.train()
    losses = []
    total = sum(-(-part.rows_each_pass // batch) for part in sets)
    for part, rows in tqdm(pair_batches(sets, batch), total=total, desc=label, unit="batch", leave=False):
        losses.append(stepper.step(info_nce(matcher(part, part.draw(rows, captions)))))
    return sum(losses) / len(losses)


def info_nce(logits: Tensor) -> Tensor:
    """The mean over all captions of each picture (captions, n, n); no other caption of it counts as a stranger."""
    own = torch.arange(logits.shape[-1], device=logits.device).repeat(len(logits))
    both = logits, logits.mT
    return sum((F.cross_entropy(way.flatten(0, 1), own) for way in both), torch.tensor(0.0)) / 2
