"""One pass of teacher forcing: every word from the true words before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from training.captioning import CaptionNetwork
from training.captions import CaptionSet, batches, shifted
from training.precision import mixed_precision
from training.step import Stepper
from training.teacher import Opinions


@dataclass(frozen=True)
class Lesson:
    """A set of captioned pictures and, where there is a teacher, what it thinks of their words."""

    part: CaptionSet
    opinions: Opinions | None = None


@dataclass(frozen=True)
class WordLoss:
    """What a word costs: the true one's, and a teacher's opinion with a share of `taught` in it.

    `captions` of each picture, drawn anew in every pass, take part.
    """

    smoothing: float
    taught: float
    captions: int

    def __call__(self, network: CaptionNetwork, lesson: Lesson, rows: Tensor) -> Tensor:
        """The mean over the words of the pictures `rows` (n,), in nats."""
        part = lesson.part
        drawn = torch.rand(len(rows), part.tokens.shape[1]).topk(min(self.captions, part.tokens.shape[1])).indices
        inputs, targets, counted = shifted(part.tokens[rows[:, None], drawn].flatten(0, 1))
        # The loss stays in float32.
        device = network.device
        with mixed_precision(device.type):
            logits = network(part.views(rows).to(device), inputs.to(device), counted.to(device))
        loss = F.cross_entropy(logits, targets[counted].to(device), label_smoothing=self.smoothing)
        if lesson.opinions is None:
            return loss
        return loss.lerp(lesson.opinions.loss(logits, rows, drawn, counted), self.taught)


def cross_entropy_pass(
    network: CaptionNetwork, stepper: Stepper, lessons: Sequence[Lesson], batch: int, loss: WordLoss, label: str
) -> float:
    """Train on all pictures once; returns the mean loss of a word in nats."""
    network.train()
    losses = []
    total = sum(-(-len(lesson.part.pictures) // batch) for lesson in lessons)
    of = {id(lesson.part): lesson for lesson in lessons}
    shared = batches([one.part for one in lessons], batch, stepper.processes)
    for part, rows in tqdm(shared, total=total, desc=label, unit="batch", disable=not stepper.processes.main):
        losses.append(stepper.step(loss(network, of[id(part)], rows)))
    return sum(losses) / len(losses)
