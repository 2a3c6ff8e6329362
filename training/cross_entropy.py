"""Trained captioners whose word probabilities another learns (Hinton et al., 2015; Kim and Rush, 2016, section 3.1).

Six thousand pictures teach a transformer by heart before they teach it to see; what a smaller network would have said
next tells it how sure to be. Teachers are asked once, about whole pictures, and the words that are likeliest in their
mean are kept: several know more together than each (Hinton et al., 2015, section 5).

One pass of teacher forcing: every word from the true words before it.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.backbone import Backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.wire.errors import InvalidParameter
from training.architectures import CaptionNetwork
from training.captions import CaptionSet, batches, shifted
from training.loop import Stepper
from training.processes import mixed_precision

KEPT = 16  # likeliest words of each step; they hold nearly all of the probability
BATCH = 50  # pictures asked about at once


@dataclass(frozen=True)
class Opinions:
    """For each step of each caption the likeliest next words, and their probabilities, which sum to 1.

    Both (pictures, captions, steps, kept), aligned with the tokens of the `CaptionSet` that was asked about; steps
    beyond a caption's end hold nothing of meaning.
    """

    words: Tensor
    probabilities: Tensor

    def loss(self, logits: Tensor, rows: Tensor, captions: Tensor, counted: Tensor) -> Tensor:
        """The mean cross-entropy of a student's logits with the teacher, in nats.

        Args:
            logits: (steps counted, vocabulary) in float32.
            rows: (n,) pictures; captions: (n, drawn) of each; counted: (n * drawn, steps), as from `shifted`;
                all three on the processor, whatever computed the logits.
        """
        steps = counted.shape[1]
        words, likely = (
            kept[rows[:, None], captions].flatten(0, 1)[:, :steps][counted].to(logits.device)
            for kept in (self.words, self.probabilities)
        )
        log_probabilities = logits.log_softmax(-1).gather(1, words.long())
        return -(likely.float() * log_probabilities).sum(1).mean()


def load_teacher(source: str | Path, vocabulary: Vocabulary) -> CaptionModel:
    """A compact captioner that can be asked.

    Raises:
        ModelError: it cannot be loaded.
        InvalidParameter: it has other words, or no picture network whose trunk can be shared.
    """
    teacher = load_captioner(source)
    if not isinstance(teacher.vocabulary, Vocabulary) or teacher.vocabulary.words != vocabulary.words:
        raise InvalidParameter(f"{source} was trained with other words: it cannot teach here.")
    if not isinstance(teacher.backbone, Backbone):
        raise InvalidParameter(f"{source} sees through another kind of picture network: it cannot teach here.")
    return teacher


def ask_teachers(teachers: Sequence[CaptionModel], part: CaptionSet, cache: Path) -> Opinions:
    """The mean opinion on every step of every caption, from the cache file of these teachers and this set."""
    identity = hashlib.sha256("".join(teacher.fingerprint for teacher in teachers).encode())
    identity.update(part.tokens.numpy().tobytes())
    identity.update(part.features.file.name.encode())
    file = cache / f"opinions-{identity.hexdigest()[:16]}.safetensors"
    if not file.exists():
        words, probabilities = _ask(teachers, part)
        save_file({"words": words, "probabilities": probabilities}, file.with_suffix(".unfinished"))
        os.replace(file.with_suffix(".unfinished"), file)
    kept = load_file(file)
    return Opinions(kept["words"], kept["probabilities"])


@torch.inference_mode()
def _ask(teachers: Sequence[CaptionModel], part: CaptionSet) -> tuple[Tensor, Tensor]:
    kept = min(KEPT, teachers[0].decoder.words)
    words = torch.zeros(*part.tokens.shape, kept, dtype=torch.int16)
    probabilities = torch.zeros(*part.tokens.shape, kept, dtype=torch.float16)
    for rows in tqdm(torch.split(torch.arange(len(part.pictures)), BATCH), desc="teacher", unit="batch"):
        inputs, _, counted = shifted(part.tokens[rows].flatten(0, 1))
        maps = part.whole(rows)
        said = torch.stack([_probabilities(teacher, maps, inputs, counted) for teacher in teachers]).mean(0)
        likely, chosen = said.topk(kept)
        places = counted.view(len(rows), -1, counted.shape[1]).nonzero(as_tuple=True)
        words[rows[places[0]], places[1], places[2]] = chosen.to(torch.int16)
        probabilities[rows[places[0]], places[1], places[2]] = (likely / likely.sum(1, keepdim=True)).half()
    return words, probabilities


def _probabilities(teacher: CaptionModel, maps: Tensor, inputs: Tensor, counted: Tensor) -> Tensor:
    """Of each word after each step that counts: (steps counted, vocabulary)."""
    backbone, decoder = teacher.backbone, teacher.decoder
    assert isinstance(backbone, Backbone), "load_teacher takes no other"
    with mixed_precision():
        logits = decoder.teach(inputs, decoder.remember(backbone.grid(maps)), counted)
    return logits.float().softmax(-1)


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
