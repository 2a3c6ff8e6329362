"""Sentences without pictures, and those of them that fit pictures without captions, as a retrieval model sees it."""

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
from tqdm import tqdm

from imagetext.models.captioner.vocabulary import words_of
from imagetext.models.encoder.dual import DualEncoder
from training.dataset import CaptionedPicture
from training.metrics import CIDER_SIGMA, CiderD, NGram
from training.open_world import read_paraphrases
from training.served_features import picture_features, text_states

CAPTIONS_USED = 2  # of each picture of Flickr30k
NEAREST = 200  # sentences that a picture's captions are chosen from
CHOSEN = 5
TAUGHT_VIEWS = 2  # of the pictures whose features are kept for `training.concepts`, too
AT_ONCE = 64  # pictures


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


# What sentences say of the picture as a picture says nothing of what is in it.
OF_PICTURES = re.compile(
    r"\b(photos?|photographs?|pictures?|images?|illustrations?|shot|view) (of|that)\b"
    r"|\bblack and white (photo|picture|image)|\bclose ?-?up\b|\billustration\b|\bstock\b|\bvector\b",
    re.IGNORECASE,
)


def read_lines(file: Path) -> list[str]:
    return tidied(file.read_text(encoding="utf-8").splitlines())


def tidied(sentences: Sequence[str]) -> list[str]:
    return [re.sub(r"\s+([.,])", r"\1", sentence.strip()) for sentence in sentences]


def read_sentences(encoder: DualEncoder, open_world: Path, cache: Path) -> tuple[Sentences, Sentences]:
    """Those of COCO, and all others."""
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
    """Of the sentences nearest to a picture those that say most of what the others say: the mean CIDEr with them
    (Devlin et al., 2015, "Exploring Nearest Neighbor Approaches for Image Captioning")."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.words = [words_of(text) for text in sentences.texts]
        self.cider = CiderD([[words] for words in self.words])
        self.numbers: dict[NGram, int] = {}
        self.rows: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def __call__(self, pictures: Tensor) -> list[tuple[str, ...]]:
        """Unit rows (n, dimensions) -> captions for each, best first."""
        found = []
        for some in tqdm(torch.split(pictures, AT_ONCE), desc="captions from sentences", leave=False):
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
        """The n-grams of a sentence, those of each order with length 1."""
        if place not in self.rows:
            vector = self.cider.vector(self.words[place])
            numbers = [self.numbers.setdefault(gram, len(self.numbers)) for gram in vector.weights]
            weights = [weight / (vector.norms[len(gram) - 1] or 1.0) for gram, weight in vector.weights.items()]
            self.rows[place] = np.array(numbers, dtype=np.int64), np.array(weights, dtype=np.float32)
        return self.rows[place]


def found_captions(pictures: Tensor, sentences: Sentences, cache: Path) -> list[tuple[str, ...]]:
    """Those of `Consensus`, from the file that belongs to these vectors."""
    identity = hashlib.sha256(pictures.numpy().tobytes() + sentences.vectors.numpy().tobytes()).hexdigest()[:16]
    file = cache / f"captions-{identity}.json"
    if not file.exists():
        file.with_suffix(".unfinished").write_text(json.dumps(Consensus(sentences)(pictures)), encoding="utf-8")
        os.replace(file.with_suffix(".unfinished"), file)
    return [tuple(captions) for captions in json.loads(file.read_text(encoding="utf-8"))]
