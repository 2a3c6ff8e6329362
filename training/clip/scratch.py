"""The settings of a training from scratch.

Pictures that are never seen twice alike: cut, mirrored and coloured anew, a whole batch at once.

A whole split in memory: every picture decoded once, small, in bytes.

The captions of a split as word ids, and the drawing of some of them for a batch.

Train a CLIP from nothing on a few thousand pictures: random weights, the standard loss, pictures never seen twice
alike.
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
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.models.captioner.vocabulary import PAD, START, UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.scratch import ARCHITECTURE, VOCABULARY, ScratchClip, ScratchShape
from imagetext.models.encoder.tokenizer import word_ids
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.pictures import open_picture
from training.calibrating import fit_calibration
from training.captions import SIDES
from training.clip.cards import clip_scores, scratch_card
from training.clip.mix import draw_captions
from training.contrastive import info_nce
from training.dataset import CaptionedPicture, read_split
from training.loop import Average, Checkpoint, Stepper, read_config
from training.processes import mixed_precision
from training.run_log import RunLog

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


ASPECT = 0.2  # the logarithm of the largest change


def augmented(pictures: Tensor, size: int, mirrors: Tensor, smallest: float, jitter: float) -> Tensor:
    """Random crops of pictures (n, 3, side, side) in bytes, in [0, 1] and float32: (n, 3, size, size).

    A crop takes from `smallest` to all of a picture's area. `mirrors` (n,) tells which pictures may be mirrored; half
    of them are. Saturation, contrast and brightness change by a factor of 1 - jitter to 1 + jitter. All chance is
    torch's.
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
    """Where each crop lies, as an affine map of [-1, 1] x [-1, 1]: (n, 2, 3)."""
    area = smallest + (1 - smallest) * torch.rand(count)
    aspect = torch.exp(ASPECT * (2 * torch.rand(count) - 1))
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (2 * torch.rand(2, count) - 1) * (1 - torch.stack([wide, high]))
    mirrored = mirrors & (torch.rand(count) < 0.5)
    none = torch.zeros(count)
    rows = [torch.stack([torch.where(mirrored, -wide, wide), none, x], 1), torch.stack([none, high, y], 1)]
    return torch.stack(rows, 1)


THREADS = 2


def small_pictures(pictures: Sequence[CaptionedPicture], side: int, cache: Path) -> Tensor:
    """All pictures squashed to (n, 3, side, side) bytes, from the cache file of exactly these files."""
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
        sided: (captions,), which of them say left or right, so that no mirrored picture fits.
        first: (pictures,), where each picture's captions begin.
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
        sided = torch.tensor([bool(SIDES & set(words_of(caption))) for caption in captions])
        ids = torch.from_numpy(word_ids(captions, vocabulary, max_words))
        return cls(ids, sided, count.cumsum(0) - count, count)

    def draw(self, pictures: Tensor, number: int) -> Tensor:
        """Some captions of each picture, all different where it has as many: (n, number)."""
        return self.first[pictures, None] + draw_captions(self.count[pictures], number)


def shortened(words: Tensor) -> Tensor:
    """Without the columns in which all are padding."""
    return words[:, : int((words != PAD).sum(1).max())]


def dropped(words: Tensor, share: float) -> Tensor:
    """A share of the words, drawn anew, is read as unknown: no single word may carry a caption."""
    lost = (torch.rand(words.shape) < share) & (words != PAD) & (words != START)
    return torch.where(lost, UNKNOWN, words)


NAME = "scratch-clip"
ENCODED = 250  # pictures or texts at once
SHORTEST = 11  # steps; OneCycleLR divides by the length of its rise, less one step


class ScratchRun:
    """One training run: its data, log and checkpoint."""

    def __init__(self, config: ScratchConfig, photos: Path, cache: Path, work: Path) -> None:
        self.config = config
        self.log = RunLog(work / "log.jsonl")
        identity = json.dumps([asdict(config), str(photos)])
        self.identity = hashlib.sha256(identity.encode()).hexdigest()
        train, dev = read_split(photos, "train"), read_split(photos, "dev")
        self.vocabulary = Vocabulary.of((c for one in train for c in one.captions), config.min_count)
        self.words = CaptionWords.of(train, self.vocabulary, config.max_words)
        self.dev_words = CaptionWords.of(dev, self.vocabulary, config.max_words)
        self.transform = PictureTransform(size=config.size)
        self.pictures = small_pictures(train, config.stored, cache)
        self.dev_pictures = small_pictures(dev, config.size, cache)
        self.work = work

    def train(self) -> ScratchClip:
        """Returns the averaged weights of the last pass."""
        config = self.config
        torch.manual_seed(config.seed)
        network = config.network(self.vocabulary)
        average = Average(network, config.average)
        optimizer = AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = max(SHORTEST, config.epochs * -(-len(self.pictures) // config.batch))
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=0.1)
        stepper = Stepper(network, optimizer, schedule, average)
        checkpoint = Checkpoint(
            self.work / "scratch.pt",
            self.identity,
            network=network,
            average=average,
            optimizer=optimizer,
            schedule=schedule,
        )
        for epoch in range(checkpoint.restore(), config.epochs):
            loss = self._pass(network, stepper, f"scratch {epoch + 1}/{config.epochs}")
            # The average has the weights of many steps; its normalisation takes the statistics of the last.
            for mine, theirs in zip(average.module.buffers(), network.buffers(), strict=True):
                mine.copy_(theirs)
            checkpoint.save(epoch + 1)
            scored = (epoch + 1) % config.score_every == 0 or epoch + 1 == config.epochs
            scores = self.scores(average.module) if scored else {}
            self.log.write(epoch=epoch + 1, loss=round(loss, 4), scale=round(float(network.scale()), 2), **scores)
        return average.module

    def _pass(self, network: ScratchClip, stepper: Stepper, label: str) -> float:
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
        """Unit rows of all captions of the dev split, and of its pictures."""
        network.eval()
        texts = [network.texts(shortened(part)) for part in torch.split(self.dev_words.ids, ENCODED)]
        pictures = [
            network.pictures(_scaled(part.float() / 255, self.transform))
            for part in torch.split(self.dev_pictures, ENCODED)
        ]
        return torch.cat(texts), torch.cat(pictures)

    def scores(self, network: ScratchClip) -> dict[str, float]:
        """Both directions on the dev split."""
        texts, pictures = self.encode(network)
        return clip_scores(texts.numpy(), pictures.numpy(), self.dev_words.count.tolist())

    def write(self, network: ScratchClip, folder: Path) -> None:
        """A folder that `imagetext.models.encoder.engine.load_encoder` loads."""
        texts, pictures = self.encode(network)
        words = self.dev_words
        as_many = (words.first[:, None] + torch.arange(int(words.count.min()))).flatten()
        config = {
            "format": 1,
            "kind": "encoder",
            "architecture": ARCHITECTURE,
            "name": NAME,
            "shape": network.shape.to_config(),
            "transform": self.transform.to_config(),
            "calibration": fit_calibration(texts[as_many], pictures).to_config(),
        }
        card = scratch_card(NAME, asdict(self.config), self.scores(network))
        files = {VOCABULARY: "\n".join(self.vocabulary.words) + "\n"}
        write_model_folder(folder, config, changed_tensors("network", network), card, files)


def _scaled(pictures: Tensor, transform: PictureTransform) -> Tensor:
    """Pictures in [0, 1] as the network takes them; the same as `transform.scale` does with bytes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (transform.mean, transform.std))
    return (pictures - mean) / std


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, required=True, help="a folder in a layout that training reads")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--cache", type=Path, default=Path(".cache/pictures"), help="where decoded pictures are kept")
    parser.add_argument("--work", type=Path, default=Path(".cache/clip-scratch"), help="checkpoint and log")


def run(options: argparse.Namespace) -> None:
    config = read_config(ScratchConfig, options.config)
    training = ScratchRun(config, options.photos, options.cache, options.work)
    training.write(training.train(), options.out)
