"""Pooled features of pictures and captions, ready for contrastive training."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from imagetext.captioner.vocabulary import words_of
from imagetext.encoder.dual import TextTower
from imagetext.encoder.network import pooled_grid
from training.captions import SIDES
from training.dataset import CaptionedPicture
from training.features import WHOLE, Features

BATCH = 100


@dataclass(frozen=True)
class PairSet:
    """`pictures` (n, views, inputs), `texts` (n, captions, width), and for which captions no mirrored view is true."""

    pictures: Tensor
    texts: Tensor
    sided: Tensor  # (n, captions)
    mirrored: Tensor  # (views,)
    share: float = 1.0  # of the pictures, drawn anew for each pass

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def rows_each_pass(self) -> int:
        return round(len(self) * self.share)

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A random view and a random caption of each picture: (rows, inputs) and (rows, width)."""
        view = torch.randint(self.pictures.shape[1], rows.shape)
        caption = torch.randint(self.texts.shape[1], rows.shape)
        untrue = self.mirrored[view] & self.sided[rows, caption]
        return self.pictures[rows, torch.where(untrue, WHOLE, view)], self.texts[rows, caption]


def pair_set(
    pictures: Sequence[CaptionedPicture], features: Features, tower: TextTower, cache: Path, share: float = 1.0
) -> PairSet:
    """Pools the features of all views and encodes all captions; the captions' states are cached."""
    pooled = [
        pooled_grid(torch.from_numpy(features.grid[start : start + BATCH].astype(np.float32)).flatten(0, 1))
        for start in tqdm(range(0, len(pictures), BATCH), desc="pooling", unit="batch")
    ]
    captions = [caption for picture in pictures for caption in picture.captions]
    sided = torch.tensor([bool(SIDES & set(words_of(caption))) for caption in captions])
    return PairSet(
        torch.cat(pooled).view(len(pictures), len(features.mirrored), -1),
        _encoded(captions, tower, cache).view(len(pictures), len(pictures[0].captions), -1),
        sided.view(len(pictures), -1),
        torch.tensor(features.mirrored),
        share,
    )


def _encoded(captions: Sequence[str], tower: TextTower, cache: Path) -> Tensor:
    """Pooled states (captions, width), from the cache file that belongs to exactly these captions."""
    file = cache / f"texts-{hashlib.sha256(chr(10).join(captions).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        states = _encode(captions, tower)
        with file.with_suffix(".unfinished").open("wb") as out:
            np.save(out, states.numpy())
        os.replace(file.with_suffix(".unfinished"), file)
    return torch.from_numpy(np.load(file))


@torch.inference_mode()
def _encode(captions: Sequence[str], tower: TextTower) -> Tensor:
    # Captions of like length together: less padding.
    order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
    states: list[Tensor | None] = [None] * len(captions)
    for start in tqdm(range(0, len(order), BATCH), desc="captions", unit="batch"):
        batch = order[start : start + BATCH]
        for i, state in zip(batch, tower([captions[i] for i in batch]), strict=True):
            states[i] = state
    return torch.stack([state for state in states if state is not None])


def pair_batches(sets: Sequence[PairSet], size: int) -> Iterator[tuple[PairSet, Tensor]]:
    """One pass in shuffled batches, each from one set: a picture's negatives are the others of its batch."""
    whole = [
        (part, rows) for part in sets for rows in torch.split(torch.randperm(len(part))[: part.rows_each_pass], size)
    ]
    for number in torch.randperm(len(whole)).tolist():
        yield whole[number]
