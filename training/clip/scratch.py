"""Train a CLIP from nothing on a few thousand pictures: random weights, the standard loss, pictures never seen twice
alike."""

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.captioner.vocabulary import Vocabulary
from imagetext.encoder.scratch import ARCHITECTURE, VOCABULARY
from imagetext.encoder.scratch_network import ScratchClip
from imagetext.transform import PictureTransform
from imagetext.weights import changed_tensors, write_model_folder
from training.average import Average
from training.calibrating import fit_calibration
from training.checkpoint import Checkpoint
from training.clip.augment import augmented
from training.clip.caption_words import CaptionWords, dropped, shortened
from training.clip.cards import scratch_card
from training.clip.scores import clip_scores
from training.clip.scratch_config import CONFIG, ScratchConfig
from training.clip.small_pictures import small_pictures
from training.config import read_config
from training.contrastive import info_nce
from training.dataset import read_split
from training.precision import mixed_precision
from training.run_log import RunLog
from training.step import Stepper

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
        """A folder that `imagetext.encoder.engine.load_encoder` loads."""
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
