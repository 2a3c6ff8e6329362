"""Train the GRU captioner: cross-entropy, then self-critical on CIDEr-D.

    python -m training.captioner --photos DIR [--drawn DIR] --out models/caption-gru

Stopped at any moment it goes on from its last finished pass. The weights of the best pass on the dev split are kept.
"""

import argparse
import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from imagetext.backbone import load_backbone
from imagetext.captioner.engine import ARCHITECTURE, Captioner
from imagetext.captioner.network import AttentionDecoder, DecoderShape
from imagetext.captioner.vocabulary import Vocabulary
from imagetext.model_folder import changed_tensors, write_model_folder
from imagetext.transform import PictureTransform
from training.average import Average, blend_weights
from training.captions import CaptionSet, caption_set
from training.cards import captioner_card
from training.checkpoint import Checkpoint, Stateful
from training.config import read_config
from training.cross_entropy import cross_entropy_pass
from training.dataset import CaptionedPicture, read_split
from training.evaluation import score_captioner
from training.features import DRAWN_VIEWS, cached_features
from training.run_log import RunLog
from training.self_critical import Reward, self_critical_pass
from training.step import Stepper

NAME = "gru-attention"


@dataclass(frozen=True)
class CaptionerConfig:
    """The keys of captioner.toml, explained there."""

    seed: int = 1
    backbone: str = "efficientnet-lite0"
    width: int = 512
    attention_width: int = 256
    min_count: int = 5
    max_words: int = 20
    views: int = 6
    drawn: int = 1500
    epochs: int = 8
    batch: int = 50
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    feature_dropout: float = 0.3
    dropout: float = 0.5
    average: float = 0.998
    reward_epochs: int = 3
    reward_learning_rate: float = 5e-5
    blend: float = 0.4
    samples: int = 5
    beams: int = 3
    length_exponent: float = 0.9


class Run:
    """One training run: its data, network, log and the best weights so far."""

    def __init__(self, config: CaptionerConfig, photos: Path, drawn: Path | None, cache: Path, work: Path) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.work = work
        self.log = RunLog(work / "log.jsonl")
        self.transform = PictureTransform()
        train = [read_split(photos, "train")] + ([read_split(drawn, "train")[: config.drawn]] if drawn else [])
        texts = (caption for pictures in train for picture in pictures for caption in picture.captions)
        self.vocabulary = Vocabulary.of(texts, config.min_count)
        self.identity = _identity(config, [photos, drawn])
        views = (config.views, DRAWN_VIEWS)
        self.sets = [self._set(pictures, count, cache) for pictures, count in zip(train, views, strict=False)]
        self.dev = self._set(read_split(photos, "dev"), 1, cache)
        backbone = load_backbone(config.backbone)
        shape = DecoderShape(len(self.vocabulary), backbone.channels, config.width, config.attention_width)
        self.decoder = AttentionDecoder(shape, config.feature_dropout, config.dropout)
        self.average = Average(self.decoder, config.average)
        self.captioner = Captioner(
            NAME, "", backbone, self.average.module, self.vocabulary, self.transform, config.length_exponent
        )
        self.taught = Best(work / "best-cross-entropy.pt", self.identity)
        self.best = Best(work / "best.pt", self.identity)

    def _set(self, pictures: list[CaptionedPicture], views: int, cache: Path) -> CaptionSet:
        features = cached_features(pictures, views, cache, self.transform, self.config.backbone)
        return caption_set(pictures, features, self.vocabulary, self.config.max_words)

    def cross_entropy(self) -> None:
        config = self.config
        steps = config.epochs * sum(-(-len(part.pictures) // config.batch) for part in self.sets)
        optimizer = AdamW(self.decoder.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=0.15)
        stepper, checkpoint = self._stepper("cross-entropy", optimizer, schedule)
        for epoch in range(checkpoint.restore(), config.epochs):
            label = f"cross-entropy {epoch + 1}/{config.epochs}"
            loss = cross_entropy_pass(self.decoder, stepper, self.sets, config.batch, config.label_smoothing, label)
            scores = self._finish(checkpoint, "cross-entropy", epoch + 1, loss=loss)
            self.taught.offer(scores, self.average.module)

    def self_critical(self) -> None:
        """Goes on from the best of cross-entropy; what is scored and kept is a blend with that start."""
        config = self.config
        self.taught.restore(self.decoder)
        start, blend = copy.deepcopy(self.decoder), copy.deepcopy(self.decoder).eval()
        self.average = Average(self.decoder, config.average)
        self.captioner.decoder = blend
        optimizer = AdamW(self.decoder.parameters(), config.reward_learning_rate, weight_decay=config.weight_decay)
        stepper, checkpoint = self._stepper("reward", optimizer, LambdaLR(optimizer, lambda step: 1.0))
        # Drawn scenes seem to earn far larger rewards than photographs; LOG.md has what is known and what is not.
        photos = self.sets[:1]
        rewards = [Reward(part, self.vocabulary) for part in photos]
        for epoch in range(checkpoint.restore(), config.reward_epochs):
            label = f"self-critical {epoch + 1}/{config.reward_epochs}"
            reward = self_critical_pass(self.decoder, stepper, photos, rewards, config.batch, config.samples, label)
            blend_weights(blend, start, self.average.module, config.blend)
            self._finish(checkpoint, "self-critical", epoch + 1, reward=reward)

    def _stepper(self, phase: str, optimizer: AdamW, schedule: LRScheduler) -> tuple[Stepper, Checkpoint]:
        parts: dict[str, Stateful] = {
            "decoder": self.decoder,
            "average": self.average,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        checkpoint = Checkpoint(self.work / f"{phase}.pt", self.identity, **parts)
        return Stepper(self.decoder, optimizer, schedule, self.average), checkpoint

    def _finish(self, checkpoint: Checkpoint, phase: str, epoch: int, **numbers: float) -> dict[str, float]:
        scores = score_captioner(self.captioner, self.dev, self.config.beams)
        self.best.offer(scores, self.captioner.decoder)
        checkpoint.save(epoch)
        self.log.write(phase=phase, epoch=epoch, **numbers, **scores)
        return scores

    def write(self, folder: Path) -> None:
        scores = self.best.restore(self.average.module)
        config = {
            "format": 1,
            "kind": "captioner",
            "architecture": ARCHITECTURE,
            "name": NAME,
            "backbone": self.config.backbone,
            "width": self.config.width,
            "attention_width": self.config.attention_width,
            "length_exponent": self.config.length_exponent,
            "transform": self.transform.to_config(),
        }
        tensors = changed_tensors("decoder", self.average.module)
        files = {"vocabulary.txt": "\n".join(self.vocabulary.words) + "\n"}
        write_model_folder(folder, config, tensors, captioner_card(NAME, asdict(self.config), scores), files)


class Best:
    """The weights of the pass with the highest CIDEr so far, on disk."""

    def __init__(self, file: Path, identity: str) -> None:
        self.file = file
        self.identity = identity

    def _saved(self) -> dict[str, object] | None:
        if not self.file.exists():
            return None
        saved: dict[str, object] = torch.load(self.file, map_location="cpu", weights_only=True)
        return saved if saved["identity"] == self.identity else None

    def offer(self, scores: dict[str, float], module: torch.nn.Module) -> None:
        saved = self._saved()
        if saved is None or scores["cider"] > saved["scores"]["cider"]:  # type: ignore[index]
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"identity": self.identity, "scores": scores, "module": module.state_dict()}, self.file)

    def restore(self, *modules: torch.nn.Module) -> dict[str, float]:
        saved = self._saved()
        assert saved is not None, "a run evaluates before it restores"
        for module in modules:
            module.load_state_dict(saved["module"])  # type: ignore[arg-type]
        return saved["scores"]  # type: ignore[return-value]


def _identity(config: CaptionerConfig, folders: list[Path | None]) -> str:
    whole = json.dumps([asdict(config), [str(folder) for folder in folders]])
    return hashlib.sha256(whole.encode()).hexdigest()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.captioner", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("captioner.toml"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="where features are kept")
    parser.add_argument("--work", type=Path, default=Path(".cache/captioner"), help="checkpoints and the log")
    arguments = parser.parse_args(argv)
    config = read_config(CaptionerConfig, arguments.config)
    run = Run(config, arguments.photos, arguments.drawn, arguments.cache, arguments.work)
    run.cross_entropy()
    run.self_critical()
    run.write(arguments.out)


if __name__ == "__main__":
    main()
