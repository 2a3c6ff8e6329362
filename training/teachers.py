"""Teachers of a captioner: trained captioners whose word probabilities it learns (Hinton et al., 2015; Kim and Rush,
2016, section 3.1).

Six thousand pictures let a transformer memorise them before it generalises; a smaller network's opinion on the next
word tells it how certain to be. Teachers are asked once, about whole pictures, and the likeliest words of their mean
opinion are kept: several know more together than each alone (Hinton et al., 2015, section 5).
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from imagetext.models.backbone import Backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.model import load_in_torch as load_captioner
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.wire.errors import InvalidParameter
from training.captions import CaptionSet, shifted
from training.processes import mixed_precision

KEPT = 16  # likeliest words per step; they hold nearly all of the probability
BATCH = 50  # pictures


@dataclass(frozen=True)
class Opinions:
    """The likeliest next words at each step of each caption, and their probabilities, which sum to 1.

    Both (pictures, captions, steps, kept), aligned with the tokens of the `CaptionSet`; steps beyond a caption's end
    are meaningless.
    """

    words: Tensor
    probabilities: Tensor

    def loss(self, logits: Tensor, rows: Tensor, captions: Tensor, counted: Tensor) -> Tensor:
        """The mean cross-entropy of a student's logits with the teachers' opinion, in nats.

        Args:
            logits: (steps counted, vocabulary) in float32.
            rows: (n,) pictures; captions: (n, drawn) of each; counted: (n * drawn, steps), as from `shifted`;
                all three on the CPU, whatever computed the logits.
        """
        steps = counted.shape[1]
        words, likely = (
            kept[rows[:, None], captions].flatten(0, 1)[:, :steps][counted].to(logits.device)
            for kept in (self.words, self.probabilities)
        )
        log_probabilities = logits.log_softmax(-1).gather(1, words.long())
        return -(likely.float() * log_probabilities).sum(1).mean()


def load_teacher(source: str | Path, vocabulary: Vocabulary) -> CaptionModel:
    """A compact captioner that can teach.

    Raises:
        ModelError: it cannot be loaded.
        InvalidParameter: it has another vocabulary, or a picture network whose trunk cannot be shared.
    """
    teacher = load_captioner(source)
    if not isinstance(teacher.vocabulary, Vocabulary) or teacher.vocabulary.words != vocabulary.words:
        raise InvalidParameter(f"{source} cannot teach here: it was trained with other words.")
    if not isinstance(teacher.backbone, Backbone):
        raise InvalidParameter(f"{source} cannot teach here: it has another kind of picture network.")
    return teacher


def ask_teachers(teachers: Sequence[CaptionModel], part: CaptionSet, cache: Path) -> Opinions:
    """The mean opinion on every step of every caption, from the cache file for these teachers and this set."""
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
        opinion = torch.stack([_probabilities(teacher, maps, inputs, counted) for teacher in teachers]).mean(0)
        likely, chosen = opinion.topk(kept)
        places = counted.view(len(rows), -1, counted.shape[1]).nonzero(as_tuple=True)
        words[rows[places[0]], places[1], places[2]] = chosen.to(torch.int16)
        probabilities[rows[places[0]], places[1], places[2]] = (likely / likely.sum(1, keepdim=True)).half()
    return words, probabilities


def _probabilities(teacher: CaptionModel, maps: Tensor, inputs: Tensor, counted: Tensor) -> Tensor:
    """Of every word at each counted step: (steps counted, vocabulary)."""
    backbone, decoder = teacher.backbone, teacher.decoder
    assert isinstance(backbone, Backbone), "load_teacher accepts no other"
    with mixed_precision():
        logits = decoder.teach(inputs, decoder.remember(backbone.grid(maps)), counted)
    return logits.float().softmax(-1)
