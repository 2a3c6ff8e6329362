"""The settings of a training from scratch."""

from dataclasses import dataclass
from pathlib import Path

from imagetext.captioner.vocabulary import Vocabulary
from imagetext.encoder.scratch_network import ScratchClip, ScratchShape

CONFIG = Path(__file__).with_name("scratch.toml")


@dataclass(frozen=True)
class ScratchConfig:
    """The keys of scratch.toml, explained there."""

    seed: int = 1
    size: int = 80
    stored: int = 96
    min_count: int = 4
    text_width: int = 256
    dimensions: int = 256
    first_width: int = 64
    stages: int = 3
    blocks: int = 2
    max_words: int = 24
    picture_dropout: float = 0.2
    text_dropout: float = 0.1
    word_dropout: float = 0.1
    smallest_crop: float = 0.4
    jitter: float = 0.3
    epochs: int = 12
    batch: int = 300
    captions: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    average: float = 0.97
    score_every: int = 3

    def network(self, vocabulary: Vocabulary) -> ScratchClip:
        """A new network, with random weights."""
        shape = ScratchShape(
            vocabulary=len(vocabulary),
            widths=tuple(self.first_width * 2**stage for stage in range(self.stages)),
            blocks=(1, *[self.blocks] * (self.stages - 1)),
            text_width=self.text_width,
            max_words=self.max_words,
            dimensions=self.dimensions,
        )
        return ScratchClip(shape, self.picture_dropout, self.text_dropout)
