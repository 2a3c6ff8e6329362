"""One pass of teacher forcing: every word from the true words before it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from training.captioning import CaptionNetwork
from training.captions import CaptionSet, batches, shifted
from training.step import Stepper


def cross_entropy_pass(
    network: CaptionNetwork, stepper: Stepper, sets: Sequence[CaptionSet], batch: int, smoothing: float, label: str
) -> float:
    """Train on all captions of all pictures once; returns the mean loss of a word in nats."""
    network.train()
    losses = []
    total = sum(-(-len(part.pictures) // batch) for part in sets)
    for part, rows in tqdm(batches(sets, batch), total=total, desc=label, unit="batch"):
        tokens = part.tokens[rows]
        loss = _loss(network, part.views(rows), tokens, smoothing)
        losses.append(stepper.step(loss))
    return sum(losses) / len(losses)


def _loss(network: CaptionNetwork, maps: Tensor, tokens: Tensor, smoothing: float) -> Tensor:
    inputs, targets, counted = shifted(tokens.flatten(0, 1))
    # bfloat16 products halve the time of a step on processors that have them; the loss stays in float32.
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(maps, inputs, counted)
    return F.cross_entropy(logits, targets[counted], label_smoothing=smoothing)
