"""What the concepts of a retrieval model are trained and scored on, as its served towers give it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imagetext.models.encoder.dual import DualEncoder
from imagetext.wire.contracts import LABEL_PROMPT
from training.dataset import CaptionedPicture, read_split
from training.open_world import class_names, read_coco_dev, read_paraphrases, read_things, read_unlabelled
from training.pairs import sided
from training.served_features import classifier_log_probabilities, picture_features, text_states

PROMPTS = (LABEL_PROMPT, "{}", "a {} in a picture", "there is a {} here")  # each step uses the next one
SENTENCES = 2  # captions used of each Flickr30k picture


@dataclass(frozen=True)
class ConceptsConfig:
    """The keys of concepts.toml, explained there."""

    seed: int = 1
    views: int = 4
    taught_views: int = 2
    drawn_share: float = 0.1
    epochs: int = 16
    batch: int = 1000
    captions: int = 2
    unlabelled: int = 500
    labelled: int = 250
    described: int = 10000
    paraphrases: int = 1000
    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    average: float = 0.95
    picture_dropout: float = 0.3
    text_dropout: float = 0.1
    concept_weight: float = 1.5
    naming: float = 0.3
    telling_apart: float = 1.0
    paraphrasing: float = 0.3


@dataclass(frozen=True)
class Captioned:
    """Pictures with captions: `pooled` (n, views, channels), `states` (n, captions, width); `sided` (n, captions) tells
    for which captions no mirrored view is true."""

    pooled: Tensor
    states: Tensor
    sided: Tensor
    share: float = 1.0  # of the pictures, drawn anew for each pass

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def rows_each_pass(self) -> int:
        return round(len(self) * self.share)

    def draw(self, rows: Tensor, captions: int) -> tuple[Tensor, Tensor]:
        """A random view (n, channels) and some captions, all different, (n, captions, width) of each picture."""
        views = torch.randint(self.pooled.shape[1], rows.shape)
        chosen = torch.rand(len(rows), self.states.shape[1]).topk(captions).indices
        untrue = (views % 2 == 1) & self.sided[rows].gather(1, chosen).any(1)
        return self.pooled[rows, torch.where(untrue, 0, views)], self.states[rows[:, None], chosen]


@dataclass(frozen=True)
class Taught:
    """Pictures with what the classifier says of them: `pooled` (n, views, channels), `probabilities` (n, names)."""

    pooled: Tensor
    probabilities: Tensor

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        views = torch.randint(self.pooled.shape[1], rows.shape)
        return self.pooled[rows, views], self.probabilities[rows]


class Data:
    """All that is trained and scored on, as the towers give it."""

    def __init__(
        self, encoder: DualEncoder, config: ConceptsConfig, photos: Path, drawn: Path, open_world: Path, cache: Path
    ) -> None:
        def pooled(pictures: Sequence[CaptionedPicture], views: int) -> Tensor:
            return _tensor(picture_features(encoder, pictures, views, cache))

        def states(texts: Sequence[str]) -> Tensor:
            return _tensor(text_states(encoder, texts, cache))

        def captioned(pictures: Sequence[CaptionedPicture], views: int, share: float = 1.0) -> Captioned:
            captions = [caption for picture in pictures for caption in picture.captions]
            each = len(pictures[0].captions)
            return Captioned(
                pooled(pictures, views),
                states(captions).view(len(pictures), each, -1),
                sided(captions).view(len(pictures), each),
                share,
            )

        def taught(pictures: Sequence[CaptionedPicture], features: Tensor) -> Taught:
            return Taught(
                features[:, : config.taught_views], _tensor(classifier_log_probabilities(pictures, cache))[:, 0].exp()
            )

        self.names = class_names(open_world)
        self.name_states = states([prompt.format(name) for prompt in PROMPTS for name in self.names])
        self.name_states = self.name_states.view(len(PROMPTS), len(self.names), -1)
        train = read_split(photos, "train")
        self.sets = [captioned(train, config.views), captioned(read_split(drawn, "train"), 1, config.drawn_share)]
        without = read_unlabelled(open_world)
        self.unlabelled = taught(without, pooled(without, config.taught_views))
        self.labelled = taught(train, self.sets[0].pooled)
        groups = [group[:SENTENCES] for group in read_paraphrases(open_world)[: config.described]]
        self.paraphrases = states([text for group in groups for text in group]).view(len(groups), SENTENCES, -1)
        self.dev = {
            "photos": captioned(read_split(photos, "dev"), 1),
            "coco": captioned(read_coco_dev(open_world), 1),
            "drawn": captioned(read_split(drawn, "dev"), 1),
        }
        things = read_things(open_world)
        self.things, self.thing_numbers = pooled(things.pictures, 1)[:, 0], torch.tensor(things.numbers)
        self.kept_out = torch.tensor(things.kept_out())


def _tensor(rows: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(rows, dtype=np.float32))
