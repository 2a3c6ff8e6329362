"""What a captioner learns beyond captioned photographs: pictures without captions, and captions without pictures.

Both rely on a retrieval model. Pictures without captions get pseudo-captions: of the sentences nearest to a picture
those that agree most with the others (`Consensus`). The content of a sentence without a picture is given by the names
nearest to it, as a classifier would name a picture.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import END, PAD, UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.dual import DualEncoder
from imagetext.wire.captions import LABEL_PROMPT
from training.captions import sided
from training.dataset import CaptionedPicture, read_split
from training.metrics import CIDER_SIGMA, CiderD, NGram
from training.open_world import (
    Naming,
    class_names,
    read_coco_dev,
    read_kinds,
    read_paraphrases,
    read_things,
    read_unlabelled,
    with_plurals,
)
from training.served_features import classifier_log_probabilities, grid_features, picture_features, text_states

VIEWS = 3  # whole, mirrored, a crop
DRAWN = 1000  # scenes
LONGEST = 20  # words of a caption
SHORTEST = 5  # words of a sentence without a picture
PER_CLASS = 30  # sentences for each name
NAME_WEIGHT = 2.0  # of a name beside the sentence that is to name it
CAPTIONS_USED = 2  # of each picture of Flickr30k
NEAREST = 200  # sentences that a picture's pseudo-captions are chosen from
CHOSEN = 5
TAUGHT_VIEWS = 2  # views of the features that are shared with `training.concepts`
CHUNK = 64  # pictures
# Phrases that describe the picture as a picture instead of its content.
OF_PICTURES = re.compile(
    r"\b(photos?|photographs?|pictures?|images?|illustrations?|shot|view) (of|that)\b"
    r"|\bblack and white (photo|picture|image)|\bclose ?-?up\b|\billustration\b|\bstock\b|\bvector\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sentences:
    """Sentences with their unit rows (n, dimensions)."""

    texts: list[str]
    vectors: Tensor

    def __len__(self) -> int:
        return len(self.texts)

    def plain(self) -> "Sentences":
        return self.of([place for place, text in enumerate(self.texts) if not OF_PICTURES.search(text)])

    def of(self, places: Sequence[int]) -> "Sentences":
        return Sentences([self.texts[place] for place in places], self.vectors[list(places)])


def read_lines(file: Path) -> list[str]:
    return tidied(file.read_text(encoding="utf-8").splitlines())


def tidied(sentences: Sequence[str]) -> list[str]:
    return [re.sub(r"\s+([.,])", r"\1", sentence.strip()) for sentence in sentences]


def read_sentences(encoder: DualEncoder, open_world: Path, cache: Path) -> tuple[Sentences, Sentences]:
    """The sentences of COCO, and all others."""
    folder = open_world / "sentences"
    coco, alt = read_lines(folder / "coco.txt"), read_lines(folder / "conceptual.txt")
    flickr = tidied([text for group in read_paraphrases(open_world) for text in group[:CAPTIONS_USED]])
    of_coco, *others = [Sentences(texts, text_vectors(encoder, texts, cache)).plain() for texts in (coco, flickr, alt)]
    return of_coco, Sentences(
        [text for each in others for text in each.texts], torch.cat([each.vectors for each in others])
    )


@torch.inference_mode()
def text_vectors(encoder: DualEncoder, texts: Sequence[str], cache: Path) -> Tensor:
    """Unit rows (n, dimensions)."""
    states = text_states(encoder, texts, cache)
    parts = torch.split(torch.from_numpy(np.asarray(states, dtype=np.float32)), 1000)
    return torch.cat([encoder.text_head(part) for part in parts])


@torch.inference_mode()
def picture_vectors(encoder: DualEncoder, pictures: Sequence[CaptionedPicture], cache: Path) -> Tensor:
    pooled = torch.from_numpy(
        np.asarray(picture_features(encoder, pictures, TAUGHT_VIEWS, cache)[:, 0], dtype=np.float32)
    )
    rows: Tensor = encoder.picture_head(pooled)
    if encoder.concepts is not None:
        rows, _ = encoder.concepts(rows, pooled)
    return rows


class Consensus:
    """Of the sentences nearest to a picture, those with the highest mean CIDEr against the others (Devlin et al., 2015,
    "Exploring Nearest Neighbor Approaches for Image Captioning")."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.words = [words_of(text) for text in sentences.texts]
        self.cider = CiderD([[words] for words in self.words])
        self.numbers: dict[NGram, int] = {}
        self.rows: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def __call__(self, pictures: Tensor) -> list[tuple[str, ...]]:
        """Unit rows (n, dimensions) -> pseudo-captions of each picture, best first."""
        found = []
        for some in tqdm(torch.split(pictures, CHUNK), desc="pseudo-captions", leave=False):
            for places in (some @ self.sentences.vectors.T).topk(NEAREST).indices.tolist():
                best = np.argsort(-self._agreement(places), kind="stable")[:CHOSEN]
                found.append(tuple(self.sentences.texts[places[each]] for each in best))
        return found

    def _agreement(self, places: Sequence[int]) -> NDArray[np.float32]:
        rows = [self._row(place) for place in places]
        _, columns = np.unique(np.concatenate([numbers for numbers, _ in rows]), return_inverse=True)
        matrix = np.zeros((len(rows), columns.max() + 1), dtype=np.float32)
        owner = np.repeat(np.arange(len(rows)), [len(numbers) for numbers, _ in rows])
        matrix[owner, columns] = np.concatenate([weights for _, weights in rows])
        lengths = np.array([len(self.words[place]) for place in places], dtype=np.float32)
        penalty = np.exp(-((lengths[:, None] - lengths) ** 2) / (2 * CIDER_SIGMA**2))
        agreement: NDArray[np.float32] = (matrix @ matrix.T * penalty).mean(1)
        return agreement

    def _row(self, place: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The n-grams of a sentence, normalised for each order."""
        if place not in self.rows:
            vector = self.cider.vector(self.words[place])
            numbers = [self.numbers.setdefault(gram, len(self.numbers)) for gram in vector.weights]
            weights = [weight / (vector.norms[len(gram) - 1] or 1.0) for gram, weight in vector.weights.items()]
            self.rows[place] = np.array(numbers, dtype=np.int64), np.array(weights, dtype=np.float32)
        return self.rows[place]


def found_captions(pictures: Tensor, sentences: Sentences, cache: Path) -> list[tuple[str, ...]]:
    """The captions that `Consensus` finds, from the cache file for these vectors."""
    identity = hashlib.sha256(pictures.numpy().tobytes() + sentences.vectors.numpy().tobytes()).hexdigest()[:16]
    file = cache / f"captions-{identity}.json"
    if not file.exists():
        file.with_suffix(".unfinished").write_text(json.dumps(Consensus(sentences)(pictures)), encoding="utf-8")
        os.replace(file.with_suffix(".unfinished"), file)
    return [tuple(captions) for captions in json.loads(file.read_text(encoding="utf-8"))]


@dataclass(frozen=True)
class Pictures:
    """`grids` (n, views, places, channels), and the captions of each picture."""

    grids: NDArray[np.float16]
    captions: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.grids)

    def draw(self, rows: Tensor, sided: Tensor | None = None) -> Tensor:
        """A random view of each (n, places, channels), never mirrored for those that are `sided`."""
        views = torch.randint(self.grids.shape[1], rows.shape)
        if sided is not None:
            views = torch.where((views % 2 == 1) & sided[rows], 0, views)
        return torch.from_numpy(self.grids[rows.numpy(), views.numpy()]).float()


class CaptionData:
    """Everything to train and score a captioner on, as features of its served picture network."""

    def __init__(
        self, captioner: CaptionModel, encoder: DualEncoder, photos: Path, drawn: Path, open_world: Path, cache: Path
    ) -> None:
        def seen(pictures: Sequence[CaptionedPicture], views: int) -> NDArray[np.float16]:
            return grid_features(captioner, pictures, views, cache)

        self.names = class_names(open_world)
        kinds = read_kinds()
        self.naming = Naming(self.names, kinds)
        assert encoder.concepts is not None, "a retrieval model with names"
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
        # On the views that the captioner's classifier is fitted on.
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
    """Captioned pictures; each step takes `each` of them, and all before any comes again."""

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
    """Sentences without pictures, with the logits that a classifier might give. Some are drawn at random, the others so
    that each class is equally likely, by a sentence that names its kind."""

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
        if len(found) <= PER_CLASS:
            return found
        return found[(self.vectors[found] @ self.names[number]).topk(PER_CLASS).indices]

    def draw(self, named: int, others: int) -> tuple[Tensor, Tensor]:
        """Logits of the names (n, names), tokens (n, 1, steps); first those drawn by class."""
        rows = torch.randint(len(self.tokens), (named + others,))
        asked = self.vectors[rows].clone()
        for place in range(named):
            number = self.classes[int(torch.randint(len(self.classes), ()))]
            some = self.of_class[number]
            rows[place] = some[int(torch.randint(len(some), ()))]
            asked[place] = F.normalize(self.vectors[rows[place]] + NAME_WEIGHT * self.names[number], dim=-1)
        logits = self.scale * (asked @ self.names.T)
        return logits + self.noise * torch.randn_like(logits), self.tokens[rows][:, None]


def encoded(captions: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Token ids (captions, LONGEST + 1), padded, with the end token if it fits."""
    tokens = torch.full((len(captions), LONGEST + 1), PAD)
    for row, caption in enumerate(captions):
        ids = [*vocabulary.encode(caption), END][: LONGEST + 1]
        tokens[row, : len(ids)] = torch.tensor(ids)
    return tokens


def fitted_scale(similarity: Tensor, data: CaptionData) -> float:
    """The scale at which names are as certain for sentences as for pictures, by their mean entropy."""

    def entropy(logits: Tensor) -> float:
        log = logits.log_softmax(-1)
        return float(-(log.exp() * log).sum(1).mean())

    target = entropy(data.classified[1][1])
    return min(range(5, 100), key=lambda scale: abs(entropy(scale * similarity) - target))
