"""Train a CLIP from random weights on a few thousand pictures.

    python -m training.clip scratch --photos DIR --out DIR

A whole split is kept in memory, every picture decoded once, small, in bytes. Each epoch crops, mirrors and recolours
the pictures anew, so that none is seen twice alike.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.captioner.vocabulary import PAD, START, UNKNOWN, Vocabulary
from imagetext.models.encoder.scratch import ARCHITECTURE, VOCABULARY, ScratchClip, ScratchShape
from imagetext.models.encoder.tokenizer import word_ids
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.pictures import open_picture
from training.captions import sided
from training.cards import scratch_card
from training.clip.mix import draw_captions
from training.contrastive import info_nce
from training.dataset import CaptionedPicture, read_split
from training.encoded import fit_calibration
from training.loop import Fit, Stepper, identity_of, one_cycle, parameter_groups, read_config
from training.processes import mixed_precision
from training.ranking import clip_scores
from training.run_log import RunLog

SETTINGS = Path(__file__).with_name("scratch.toml")
NAME = "scratch-clip"
ENCODED = 250  # pictures or texts at once
ASPECT = 0.2  # logarithm of the largest change of the aspect ratio
THREADS = 2
SHORTEST = 11  # steps: OneCycleLR divides by the length of its rise minus one


@dataclass(frozen=True)
class ScratchConfig:
    """The keys of scratch.toml, which explains them."""

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
        """A new network with random weights."""
        shape = ScratchShape(
            vocabulary=len(vocabulary),
            widths=tuple(self.first_width * 2**stage for stage in range(self.stages)),
            blocks=(1, *[self.blocks] * (self.stages - 1)),
            text_width=self.text_width,
            max_words=self.max_words,
            dimensions=self.dimensions,
        )
        return ScratchClip(shape, self.picture_dropout, self.text_dropout)


def augmented(pictures: Tensor, size: int, mirrors: Tensor, smallest: float, jitter: float) -> Tensor:
    """Random crops of pictures (n, 3, side, side) in bytes, in [0, 1] and float32: (n, 3, size, size).

    A crop has at least `smallest` of a picture's area. `mirrors` (n,) says which pictures may be mirrored; half of
    them are. Saturation, contrast and brightness change by factors between 1 - jitter and 1 + jitter.
    """
    count = len(pictures)
    grid = F.affine_grid(_crops(count, mirrors, smallest), [count, 3, size, size], align_corners=False)
    crops = F.grid_sample(pictures.float() / 255, grid, padding_mode="reflection", align_corners=False)
    saturation, contrast, brightness = 1 + jitter * (2 * torch.rand(3, count, 1, 1, 1) - 1)
    grey = crops.mean(1, keepdim=True)
    crops = torch.lerp(grey, crops, saturation)
    mean = grey.mean((2, 3), keepdim=True)
    coloured: Tensor = (torch.lerp(mean, crops, contrast) * brightness).clamp(0, 1)
    return coloured


def _crops(count: int, mirrors: Tensor, smallest: float) -> Tensor:
    """The crops as affine maps of [-1, 1] x [-1, 1]: (n, 2, 3)."""
    area = smallest + (1 - smallest) * torch.rand(count)
    aspect = torch.exp(ASPECT * (2 * torch.rand(count) - 1))
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (2 * torch.rand(2, count) - 1) * (1 - torch.stack([wide, high]))
    mirrored = mirrors & (torch.rand(count) < 0.5)
    none = torch.zeros(count)
    rows = [torch.stack([torch.where(mirrored, -wide, wide), none, x], 1), torch.stack([none, high, y], 1)]
    return torch.stack(rows, 1)


def small_pictures(pictures: Sequence[CaptionedPicture], side: int, cache: Path) -> Tensor:
    """All pictures resized to (n, 3, side, side) bytes, from the cache file for exactly these pictures."""
    files = [[str(picture.path), picture.path.stat().st_size] for picture in pictures]
    file = cache / f"pictures-{hashlib.sha256(json.dumps([files, side]).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        transform = PictureTransform(size=side)
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda one: transform.resize(open_picture(one.path, target=2 * side)), pictures)
            whole = np.stack(list(tqdm(found, total=len(pictures), desc="decoding", unit="picture")))
        with file.with_suffix(".unfinished").open("wb") as out:
            np.save(out, whole)
        os.replace(file.with_suffix(".unfinished"), file)
    return torch.from_numpy(np.load(file))


@dataclass(frozen=True)
class CaptionWords:
    """The captions of all pictures, one after the other.

    Attributes:
        ids: (captions, steps), padded with 0.
        sided: (captions,), whether one says left or right, so that no mirrored picture fits.
        first: (pictures,), the row of each picture's first caption.
        count: (pictures,), how many it has.
    """

    ids: Tensor
    sided: Tensor
    first: Tensor
    count: Tensor

    @classmethod
    def of(cls, pictures: Sequence[CaptionedPicture], vocabulary: Vocabulary, max_words: int) -> "CaptionWords":
        captions = [caption for picture in pictures for caption in picture.captions]
        count = torch.tensor([len(picture.captions) for picture in pictures])
        ids = torch.from_numpy(word_ids(captions, vocabulary, max_words))
        return cls(ids, sided(captions), count.cumsum(0) - count, count)

    def draw(self, pictures: Tensor, number: int) -> Tensor:
        """Rows of `number` captions of each picture, all different if it has that many: (n, number)."""
        return self.first[pictures, None] + draw_captions(self.count[pictures], number)


def shortened(words: Tensor) -> Tensor:
    """Without the columns that are all padding."""
    return words[:, : int((words != PAD).sum(1).max())]


def dropped(words: Tensor, share: float) -> Tensor:
    """A random share of the words becomes unknown, so that no single word carries a caption."""
    lost = (torch.rand(words.shape) < share) & (words != PAD) & (words != START)
    return torch.where(lost, UNKNOWN, words)


class ScratchRun:
    """One training run: data, log and checkpoint."""

    def __init__(self, config: ScratchConfig, photos: Path, cache: Path, work: Path) -> None:
        self.config = config
        self.log = RunLog(work / "log.jsonl")
        self.identity = identity_of(config, [photos])
        train, dev = read_split(photos, "train"), read_split(photos, "dev")
        self.vocabulary = Vocabulary.of((c for one in train for c in one.captions), config.min_count)
        self.words = CaptionWords.of(train, self.vocabulary, config.max_words)
        self.dev_words = CaptionWords.of(dev, self.vocabulary, config.max_words)
        self.transform = PictureTransform(size=config.size)
        self.pictures = small_pictures(train, config.stored, cache)
        self.dev_pictures = small_pictures(dev, config.size, cache)
        self.work = work

    def train(self) -> ScratchClip:
        """Returns the averaged weights of the last epoch."""
        config = self.config
        torch.manual_seed(config.seed)
        network = config.network(self.vocabulary)
        steps = max(SHORTEST, config.epochs * -(-len(self.pictures) // config.batch))
        fit = Fit(
            network,
            parameter_groups((network, config.learning_rate)),
            one_cycle(steps, rise=0.1),
            self.work / "scratch.pt",
            self.identity,
            weight_decay=config.weight_decay,
            average=config.average,
        )
        for epoch in range(fit.checkpoint.restore(), config.epochs):
            loss = self._epoch(network, fit.stepper, f"scratch {epoch + 1}/{config.epochs}")
            # Weights are averaged over many steps; the statistics of batch normalisation are those of the last.
            for mine, theirs in zip(fit.average.module.buffers(), network.buffers(), strict=True):
                mine.copy_(theirs)
            fit.checkpoint.save(epoch + 1)
            scored = (epoch + 1) % config.score_every == 0 or epoch + 1 == config.epochs
            scores = self.scores(fit.average.module) if scored else {}
            self.log.write(epoch=epoch + 1, loss=round(loss, 4), scale=round(float(network.scale()), 2), **scores)
        return fit.average.module

    def _epoch(self, network: ScratchClip, stepper: Stepper, label: str) -> float:
        """Train on all pictures once; returns the mean loss in nats."""
        network.train()
        batches = torch.split(torch.randperm(len(self.pictures)), self.config.batch)
        losses = [stepper.step(self._loss(network, rows)) for rows in tqdm(batches, desc=label, unit="batch")]
        return sum(losses) / len(losses)

    def _loss(self, network: ScratchClip, rows: Tensor) -> Tensor:
        config = self.config
        drawn = self.words.draw(rows, config.captions)
        mirrors = ~self.words.sided[drawn].any(1)
        crops = augmented(self.pictures[rows], config.size, mirrors, config.smallest_crop, config.jitter)
        words = dropped(shortened(self.words.ids[drawn.flatten()]), config.word_dropout)
        # Convolutions in bfloat16 take a fraction of the time; similarities and the loss stay in float32.
        with mixed_precision():
            pictures = network.pictures(_scaled(crops, self.transform))
            texts = network.texts(words)
        similar = texts.view(*drawn.shape, -1).transpose(0, 1) @ pictures.T
        return info_nce(similar * network.scale())

    @torch.no_grad()
    def encode(self, network: ScratchClip) -> tuple[Tensor, Tensor]:
        """Unit rows of all captions and of all pictures of the dev split."""
        network.eval()
        texts = [network.texts(shortened(part)) for part in torch.split(self.dev_words.ids, ENCODED)]
        pictures = [
            network.pictures(_scaled(part.float() / 255, self.transform))
            for part in torch.split(self.dev_pictures, ENCODED)
        ]
        return torch.cat(texts), torch.cat(pictures)

    def scores(self, network: ScratchClip) -> dict[str, float]:
        """Recall both ways on the dev split."""
        texts, pictures = self.encode(network)
        return clip_scores(texts.numpy(), pictures.numpy(), self.dev_words.count.tolist())

    def write(self, network: ScratchClip, folder: Path) -> None:
        """A folder for `imagetext.models.encoder.engine.load_encoder`."""
        texts, pictures = self.encode(network)
        words = self.dev_words
        equally_many = (words.first[:, None] + torch.arange(int(words.count.min()))).flatten()
        config = {
            "format": 1,
            "kind": "encoder",
            "architecture": ARCHITECTURE,
            "name": NAME,
            "shape": network.shape.to_config(),
            "transform": self.transform.to_config(),
            "calibration": fit_calibration(texts[equally_many], pictures).to_config(),
        }
        card = scratch_card(NAME, asdict(self.config), self.scores(network))
        files = {VOCABULARY: "\n".join(self.vocabulary.words) + "\n"}
        write_model_folder(folder, config, changed_tensors("network", network), card, files)


def _scaled(pictures: Tensor, transform: PictureTransform) -> Tensor:
    """Pictures in [0, 1], normalised as `transform.scale` does with bytes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (transform.mean, transform.std))
    return (pictures - mean) / std


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=SETTINGS)
    parser.add_argument("--cache", type=Path, default=Path(".cache/pictures"), help="folder for decoded pictures")
    parser.add_argument("--work", type=Path, default=Path(".cache/clip-scratch"), help="checkpoint and log")


def run(options: argparse.Namespace) -> None:
    config = read_config(ScratchConfig, options.config)
    training = ScratchRun(config, options.photos, options.cache, options.work)
    training.write(training.train(), options.out)
