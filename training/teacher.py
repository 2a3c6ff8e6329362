"""A trained captioner whose word probabilities another learns (Hinton et al., 2015; Kim and Rush, 2016, section 3.1).

Six thousand pictures teach a transformer by heart before they teach it to see; what a smaller network would have said
next tells it how sure to be. The teacher is asked once, about whole pictures, and its likeliest words are kept.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from imagetext.backbone import Backbone
from imagetext.captioner.decoder import Decoder
from imagetext.captioner.engine import Captioner, load_captioner
from imagetext.captioner.vocabulary import Vocabulary
from imagetext.errors import InvalidParameter
from training.captions import CaptionSet, shifted
from training.precision import mixed_precision

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


def load_teacher(source: str | Path, vocabulary: Vocabulary) -> Captioner:
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


def ask_teacher(teacher: Captioner, part: CaptionSet, cache: Path) -> Opinions:
    """The teacher's opinion of every step of every caption, from the cache file of this teacher and set."""
    identity = hashlib.sha256(teacher.fingerprint.encode() + part.tokens.numpy().tobytes())
    identity.update(part.features.file.name.encode())
    file = cache / f"opinions-{identity.hexdigest()[:16]}.safetensors"
    if not file.exists():
        words, probabilities = _ask(teacher, part)
        save_file({"words": words, "probabilities": probabilities}, file.with_suffix(".unfinished"))
        os.replace(file.with_suffix(".unfinished"), file)
    kept = load_file(file)
    return Opinions(kept["words"], kept["probabilities"])


@torch.inference_mode()
def _ask(teacher: Captioner, part: CaptionSet) -> tuple[Tensor, Tensor]:
    backbone, decoder = teacher.backbone, teacher.decoder
    assert isinstance(backbone, Backbone), "load_teacher takes no other"
    kept = min(KEPT, decoder.words)
    words = torch.zeros(*part.tokens.shape, kept, dtype=torch.int16)
    probabilities = torch.zeros(*part.tokens.shape, kept, dtype=torch.float16)
    for rows in tqdm(torch.split(torch.arange(len(part.pictures)), BATCH), desc="teacher", unit="batch"):
        with mixed_precision():
            logits, counted = _taught(decoder, backbone.grid(part.whole(rows)), part.tokens[rows])
        likely, chosen = logits.float().softmax(-1).topk(kept)
        steps = counted.shape[1]
        places = counted.view(len(rows), -1, steps).nonzero(as_tuple=True)
        words[rows[places[0]], places[1], places[2]] = chosen.to(torch.int16)
        probabilities[rows[places[0]], places[1], places[2]] = (likely / likely.sum(1, keepdim=True)).half()
    return words, probabilities


def _taught(decoder: Decoder, grid: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    inputs, _, counted = shifted(tokens.flatten(0, 1))
    return decoder.teach(inputs, decoder.remember(grid), counted), counted
