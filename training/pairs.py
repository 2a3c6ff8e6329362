"""Pictures with their captions, ready for contrastive training."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from imagetext.models.backbone import Backbone
from imagetext.models.encoder.dual import TextTower
from imagetext.models.encoder.minilm import PAD, pooled_grid, text_states
from training.captions import sided
from training.dataset import CaptionedPicture
from training.features import WHOLE, Features
from training.processes import mixed_precision

BATCH = 100


class Drawing(Protocol):
    """A set of which each epoch takes some pictures."""

    def __len__(self) -> int: ...
    @property
    def rows_each_pass(self) -> int: ...


Pairs = TypeVar("Pairs", bound=Drawing)


@dataclass(frozen=True)
class Drawn:
    """The views and captions drawn for some pictures: `rows` and `views` (n,), `captions` (n, captions drawn)."""

    rows: Tensor
    views: Tensor
    captions: Tensor


@dataclass(frozen=True)
class PairSet:
    """The pictures of one set with their captions, as inputs of the towers and as outputs of the untuned towers.

    `pooled` (n, views, channels), `tokens` (n, captions, steps) padded with 0, `states` (n, captions, width); `sided`
    (n, captions): the caption says left or right, so no mirrored view fits. `pooled` and `states` are empty if no
    heads are trained alone.
    """

    features: Features
    pooled: Tensor
    tokens: Tensor
    states: Tensor
    sided: Tensor
    share: float = 1.0  # of the pictures, drawn anew for each pass

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def rows_each_pass(self) -> int:
        return round(len(self) * self.share)

    def draw(self, rows: Tensor, captions: int) -> Drawn:
        """A random view and some captions, all different, of each picture."""
        views = torch.randint(len(self.features.mirrored), rows.shape)
        chosen = torch.rand(len(rows), self.tokens.shape[1]).topk(captions).indices
        untrue = torch.tensor(self.features.mirrored)[views] & self.sided[rows].gather(1, chosen).any(1)
        return Drawn(rows, torch.where(untrue, WHOLE, views), chosen)


@dataclass(frozen=True)
class Untuned:
    """The packaged picture network, and the folder that keeps the outputs of both untuned towers."""

    backbone: Backbone
    cache: Path


def pair_set(
    pictures: Sequence[CaptionedPicture],
    features: Features,
    tower: TextTower,
    untuned: Untuned | None,
    share: float = 1.0,
) -> PairSet:
    """Outputs of the untuned towers, if asked for, are computed once and kept in the cache."""
    captions = [caption for picture in pictures for caption in picture.captions]
    each = len(pictures[0].captions)
    tokens = tower.tokens(captions)
    pooled, states = torch.empty(0), torch.empty(0)
    if untuned is not None:
        backbone, cache = untuned.backbone, untuned.cache
        identity = [features.file.name, _fingerprint(backbone)]
        pooled = _kept(cache, "pooled", identity, lambda: _pooled(features, backbone))
        pooled = pooled.view(len(pictures), len(features.mirrored), -1)
        states = _kept(cache, "texts", captions, lambda: _states(tokens, tower)).view(len(pictures), each, -1)
    return PairSet(
        features,
        pooled,
        tokens.view(len(pictures), each, -1),
        states,
        sided(captions).view(len(pictures), each),
        share,
    )


def _kept(cache: Path, kind: str, identity: Sequence[str], compute: Callable[[], Tensor]) -> Tensor:
    file = cache / f"{kind}-{hashlib.sha256(chr(10).join(identity).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        with file.with_suffix(".unfinished").open("wb") as out:
            np.save(out, compute().numpy())
        os.replace(file.with_suffix(".unfinished"), file)
    return torch.from_numpy(np.load(file))


def _fingerprint(backbone: Backbone) -> str:
    digest = hashlib.sha256()
    for tensor in backbone.top.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def _pooled(features: Features, backbone: Backbone) -> Tensor:
    """All views of all pictures (pictures * views, channels)."""
    pictures, views = features.maps.shape[:2]
    cells = torch.cartesian_prod(torch.arange(pictures), torch.arange(views)).view(-1, 2)
    pooled = []
    with mixed_precision():
        for batch in tqdm(torch.split(cells, BATCH), desc="pooling", unit="batch"):
            pooled.append(pooled_grid(backbone.grid(features.of(*batch.T))).float())
    return torch.cat(pooled)


@torch.inference_mode()
def _states(tokens: Tensor, tower: TextTower) -> Tensor:
    """All captions (captions, width)."""
    # Captions of similar length together need less padding.
    lengths = (tokens != PAD).sum(1)
    states = torch.empty(len(tokens), tower.width)
    for rows in tqdm(torch.split(lengths.argsort(), BATCH), desc="captions", unit="batch"):
        states[rows] = text_states(tower.bert, tokens[rows, : lengths[rows].max()])
    return states


def pair_batches(sets: Sequence[Pairs], size: int) -> Iterator[tuple[Pairs, Tensor]]:
    """One epoch in shuffled batches, each from one set: a picture's negatives are the others of its batch."""
    whole = [
        (part, rows) for part in sets for rows in torch.split(torch.randperm(len(part))[: part.rows_each_pass], size)
    ]
    for number in torch.randperm(len(whole)).tolist():
        yield whole[number]
