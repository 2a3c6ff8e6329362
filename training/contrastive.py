"""Contrastive training of two heads, with or without teachers."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.encoder.network import Head
from training.pairs import PairSet, pair_batches
from training.step import Stepper

START_TEMPERATURE = 0.05
LARGEST_SCALE = 100.0


class Heads(nn.Module):
    """Both heads and the learned temperature of the loss (Radford et al., 2021, section 2.3)."""

    def __init__(self, picture: Head, text: Head) -> None:
        super().__init__()
        self.picture = picture
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / START_TEMPERATURE)))

    def forward(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """Pooled features of n pictures and n texts -> scaled similarities (n texts, n pictures)."""
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        # bfloat16 products halve the time of a step on processors that have them; similarities stay in float32.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            texts, pictures = self.text(texts), self.picture(pictures)
        return texts.float() @ pictures.float().T * scale


def contrastive_pass(
    heads: Heads, stepper: Stepper, sets: Sequence[PairSet], batch: int, teachers: Sequence[Heads], share: float
) -> float:
    """Train on every set's part of this pass; returns the mean loss in nats."""
    heads.train()
    losses = []
    for part, rows in pair_batches(sets, batch):
        pictures, texts = part.draw(rows)
        logits = heads(pictures, texts)
        loss = _info_nce(logits)
        if teachers:
            loss = (1 - share) * loss + share * _divergence(logits, teachers, pictures, texts)
        losses.append(stepper.step(loss))
    return sum(losses) / len(losses)


def _info_nce(logits: Tensor) -> Tensor:
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def _divergence(logits: Tensor, teachers: Sequence[Heads], pictures: Tensor, texts: Tensor) -> Tensor:
    """How far the student's distribution over the batch is from the teachers' mean logits (Hinton et al., 2015)."""
    with torch.no_grad():
        taught = torch.stack([teacher(pictures, texts) for teacher in teachers]).mean(0)
    rows = F.kl_div(logits.log_softmax(1), taught.log_softmax(1), log_target=True, reduction="batchmean")
    columns = F.kl_div(logits.T.log_softmax(1), taught.T.log_softmax(1), log_target=True, reduction="batchmean")
    return (rows + columns) / 2
