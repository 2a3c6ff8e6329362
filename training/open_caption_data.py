"""What a captioner learns beyond captioned photographs: pictures without captions, and sentences without pictures.

Both lean on a retrieval model. Pictures without captions get sentences that fit them (`training.sentences`); what a
sentence says is told by the names nearest to it, as a classifier would name a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import END, PAD, UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.dual import DualEncoder
from imagetext.wire.contracts import LABEL_PROMPT
from training.dataset import CaptionedPicture, read_split
from training.open_world import (
    Naming,
    class_names,
    read_coco_dev,
    read_kinds,
    read_things,
    read_unlabelled,
    with_plurals,
)
from training.pairs import sided
from training.sentences import Sentences, found_captions, picture_vectors, read_sentences, text_vectors
from training.served_features import classifier_log_probabilities, grid_features

VIEWS = 3  # whole, mirrored, a crop
DRAWN = 1000  # scenes
LONGEST = 20  # words of a caption
SHORTEST = 5  # words of a sentence without a picture
OF_CLASS = 30  # sentences for each name
NAMED_MORE = 2.0  # how much a name counts beside the sentence that is to name it


@dataclass(frozen=True)
class Pictures:
    """`grids` (n, views, places, channels), and captions of each."""

    grids: NDArray[np.float16]
    captions: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.grids)

    def draw(self, rows: Tensor, sided: Tensor | None = None) -> Tensor:
        """A random view of each (n, places, channels); of those that are `sided` none that is mirrored."""
        views = torch.randint(self.grids.shape[1], rows.shape)
        if sided is not None:
            views = torch.where((views % 2 == 1) & sided[rows], 0, views)
        return torch.from_numpy(self.grids[rows.numpy(), views.numpy()]).float()


class CaptionData:
    """All that a captioner is trained and scored on, as its served picture network gives it."""

    def __init__(
        self, captioner: CaptionModel, encoder: DualEncoder, photos: Path, drawn: Path, open_world: Path, cache: Path
    ) -> None:
        def seen(pictures: Sequence[CaptionedPicture], views: int) -> NDArray[np.float16]:
            return grid_features(captioner, pictures, views, cache)

        self.names = class_names(open_world)
        kinds = read_kinds()
        self.naming = Naming(self.names, kinds)
        assert encoder.concepts is not None, "a retrieval model that knows names"
        self.name_vectors = encoder.concepts.vectors
        photographs, scenes, without = (
            read_split(photos, "train"),
            read_split(drawn, "train")[:DRAWN],
            read_unlabelled(open_world),
        )
        coco, others = read_sentences(encoder, open_world, cache)
        found = found_captions(picture_vectors(encoder, without, cache), coco, cache)
        self.photographs = Pictures(seen(photographs, VIEWS), [picture.captions for picture in photographs])
        self.scenes = Pictures(seen(scenes, 1), [picture.captions for picture in scenes])
        self.without = Pictures(seen(without, VIEWS), found)
        # Asked about the views that its classifier will be fitted on.
        self.classified = [
            (
                part.grids,
                torch.from_numpy(np.asarray(classifier_log_probabilities(pictures, cache), dtype=np.float32)[:, 0]),
            )
            for part, pictures in ((self.photographs, photographs), (self.without, without))
        ]
        self.sentences = Sentences(coco.texts + others.texts, torch.cat([coco.vectors, others.vectors]))
        things, coco_dev, dev = read_things(open_world), read_coco_dev(open_world), read_split(photos, "dev")
        self.thing_numbers = things.numbers
        self.dev = {
            "photos": Pictures(seen(dev, 1), [picture.captions for picture in dev]),
            "coco": Pictures(seen(coco_dev, 1), [picture.captions for picture in coco_dev]),
            "things": Pictures(seen(things.pictures, 1), [picture.captions for picture in things.pictures]),
        }
        self.kept_out = torch.tensor(things.kept_out())
        self.kind_words = [
            list(dict.fromkeys(word for kind in kinds if number in kind.classes for word in kind.words))
            for number in range(len(self.names))
        ]
        words = sorted(
            {word for found in self.kind_words for word in found} | {words_of(name)[-1] for name in self.names}
        )
        asked = text_vectors(encoder, [LABEL_PROMPT.format(word) for word in words], cache)
        self.word_vectors = dict(zip(words, asked, strict=True))


class Part:
    """Captioned pictures, of which each step takes some, all in turn."""

    def __init__(self, pictures: Pictures, vocabulary: Vocabulary, each: int, weight: float) -> None:
        self.pictures, self.each, self.weight = pictures, each, weight
        count = min(len(captions) for captions in pictures.captions)
        self.tokens = torch.stack([encoded(captions[:count], vocabulary) for captions in pictures.captions])
        self.sided = torch.tensor([bool(sided(captions).any()) for captions in pictures.captions])
        self.left = torch.empty(0, dtype=torch.long)

    def draw(self, captions: int) -> tuple[Tensor, Tensor]:
        """Grids (n, places, channels), tokens (n, captions, steps)."""
        if len(self.left) < self.each:
            self.left = torch.cat([self.left, torch.randperm(len(self.pictures))])
        rows, self.left = self.left[: self.each], self.left[self.each :]
        chosen = torch.rand(len(rows), self.tokens.shape[1]).topk(captions).indices
        return self.pictures.draw(rows, self.sided), self.tokens[rows[:, None], chosen]


class Imagined:
    """Sentences without pictures, with what a classifier might recognise: half of them as they come, and half so that
    every class has its turn, by a sentence that names its kind."""

    def __init__(self, data: CaptionData, vocabulary: Vocabulary, noise: float) -> None:
        self.noise, self.names = noise, data.name_vectors
        tokens = encoded(data.sentences.texts, vocabulary)
        fit = ((tokens == UNKNOWN).any(1).logical_not() & (tokens[:, SHORTEST] != PAD)).nonzero()[:, 0]
        self.tokens, self.vectors = tokens[fit], data.sentences.vectors[fit]
        words = [set(words_of(data.sentences.texts[place])) for place in fit.tolist()]
        self.of_class = [
            self._nearest(number, [place for place, found in enumerate(words) if not found.isdisjoint(kinds)])
            for number, kinds in enumerate(map(with_plurals, data.kind_words))
        ]
        self.classes = [number for number, found in enumerate(self.of_class) if len(found)]
        self.scale = fitted_scale(self.vectors[::50] @ self.names.T, data)

    def _nearest(self, number: int, places: list[int]) -> Tensor:
        found = torch.tensor(places, dtype=torch.long)
        if len(found) <= OF_CLASS:
            return found
        return found[(self.vectors[found] @ self.names[number]).topk(OF_CLASS).indices]

    def draw(self, named: int, others: int) -> tuple[Tensor, Tensor]:
        """Logits of the names (n, names), tokens (n, 1, steps); first those in which each name has its turn."""
        rows = torch.randint(len(self.tokens), (named + others,))
        asked = self.vectors[rows].clone()
        for place in range(named):
            number = self.classes[int(torch.randint(len(self.classes), ()))]
            some = self.of_class[number]
            rows[place] = some[int(torch.randint(len(some), ()))]
            asked[place] = F.normalize(self.vectors[rows[place]] + NAMED_MORE * self.names[number], dim=-1)
        logits = self.scale * (asked @ self.names.T)
        return logits + self.noise * torch.randn_like(logits), self.tokens[rows][:, None]


def encoded(captions: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Token ids (captions, LONGEST + 1), padded, with the end where it fits."""
    tokens = torch.full((len(captions), LONGEST + 1), PAD)
    for row, caption in enumerate(captions):
        ids = [*vocabulary.encode(caption), END][: LONGEST + 1]
        tokens[row, : len(ids)] = torch.tensor(ids)
    return tokens


def fitted_scale(similarity: Tensor, data: CaptionData) -> float:
    """So that names are as certain of sentences as of pictures: equal mean entropy."""

    def entropy(logits: Tensor) -> float:
        log = logits.log_softmax(-1)
        return float(-(log.exp() * log).sum(1).mean())

    wanted = entropy(data.classified[1][1])
    return min(range(5, 100), key=lambda scale: abs(entropy(scale * similarity) - wanted))
