"""Train a captioner: cross-entropy, then self-critical on CIDEr-D.

    python -m training.captioner gru-attention --photos DIR [--drawn DIR] --out models/caption-gru

Stopped at any moment it goes on from its last finished pass. The weights of the best pass on the dev split are kept.
"""

import argparse
import copy
import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from imagetext.models.backbone import backbone_transform, load_backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vocabulary import Vocabulary
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder
from training.architectures import ARCHITECTURES, CaptionerConfig, CaptionNetwork
from training.captions import CaptionSet, caption_set
from training.cards import captioner_card
from training.cross_entropy import Lesson, WordLoss, ask_teachers, cross_entropy_pass, load_teacher
from training.dataset import CaptionedPicture, read_split
from training.evaluation import score_captioner
from training.features import DRAWN_VIEWS, cached_features
from training.loop import (
    Average,
    Checkpoint,
    Stateful,
    Stepper,
    blend_weights,
    parameter_groups,
    read_config,
    rise_and_fall,
)
from training.processes import Processes, launched
from training.run_log import RunLog
from training.self_critical import Reward, self_critical_pass
from training.tuning import start_from, starting_backbone

# Settings of the second phase: with others the first need not be repeated.
REWARD_KEYS = frozenset({"reward_epochs", "reward_learning_rate", "reward_rise", "samples", "blend"})


class Run:
    """One training run: its data, network, log and the best weights so far."""

    def __init__(
        self,
        config: CaptionerConfig,
        photos: Path,
        drawn: Path | None,
        cache: Path,
        work: Path,
        processes: Processes,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.processes = processes
        self.work = work
        self.cache = cache
        self.log = RunLog(work / "log.jsonl")
        self.transform = backbone_transform(config.backbone)
        self.served = replace(self.transform, size=config.served_size or self.transform.size)
        train = [read_split(photos, "train")] + ([read_split(drawn, "train")[: config.drawn]] if drawn else [])
        texts = (caption for pictures in train for picture in pictures for caption in picture.captions)
        self.vocabulary = Vocabulary.of(texts, config.min_count)
        self.taught_as = _identity(config, [photos, drawn], ignored=REWARD_KEYS)
        self.rewarded_as = _identity(config, [photos, drawn])
        views = (config.views, DRAWN_VIEWS)
        self.sets = [self._set(found, count, self.transform) for found, count in zip(train, views, strict=False)]
        self.dev = self._set(read_split(photos, "dev"), 1, self.served)
        backbone = starting_backbone(config.backbone, config.start or config.picture_from)
        decoder = config.decoder(self.vocabulary, backbone)
        if config.start:
            start_from(decoder, load_teacher(config.start, self.vocabulary))
        self.network = CaptionNetwork(backbone, decoder, config.picture_learning_rate > 0).to(processes.device)
        self.average = Average(self.network, config.average)
        self.taught = Best(work / "best-cross-entropy.pt", self.taught_as)
        self.best = Best(work / "best.pt", self.rewarded_as)

    def _set(self, pictures: list[CaptionedPicture], views: int, transform: PictureTransform) -> CaptionSet:
        with self.processes.main_first():
            features = cached_features(pictures, views, self.cache, transform, self.config.backbone)
        return caption_set(pictures, features, self.vocabulary, self.config.max_words)

    def cross_entropy(self) -> None:
        config = self.config
        steps = config.epochs * sum(-(-len(part.pictures) // config.batch) for part in self.sets)
        groups = parameter_groups(
            (self.network.decoder, config.learning_rate), (self.network.backbone, config.picture_learning_rate)
        )
        optimizer = AdamW(groups, weight_decay=config.weight_decay)
        schedule = OneCycleLR(optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.15)
        stepper, checkpoint = self._stepper("cross-entropy", self.taught_as, optimizer, schedule)
        word_loss, lessons = WordLoss(config.label_smoothing, config.taught, config.captions), self._lessons()
        for epoch in range(checkpoint.restore(), config.epochs):
            label = f"cross-entropy {epoch + 1}/{config.epochs}"
            loss = cross_entropy_pass(self.network, stepper, lessons, config.batch, word_loss, label)
            self._finish(self.average.module, checkpoint, self.taught, "cross-entropy", epoch + 1, loss=loss)

    def _lessons(self) -> list[Lesson]:
        if not self.config.teacher:
            return [Lesson(part) for part in self.sets]
        teachers = [load_teacher(source.strip(), self.vocabulary) for source in self.config.teacher.split(",")]
        with self.processes.main_first():
            return [Lesson(part, ask_teachers(teachers, part, self.cache)) for part in self.sets]

    def self_critical(self) -> None:
        """Goes on from the best of cross-entropy, with the picture network as it is there, on photographs only.

        What is scored and kept is a blend with that start: alone the rewarded weights fit the training pictures too
        closely.
        """
        config = self.config
        scores = self.taught.restore(self.network)
        if self.processes.main:
            self.best.offer(scores, self.network)
        start, blend = copy.deepcopy(self.network), copy.deepcopy(self.network).eval()
        self.network.backbone.requires_grad_(False)
        self.average = Average(self.network, config.average)
        optimizer = AdamW(self.network.decoder.parameters(), config.reward_learning_rate, weight_decay=0.0)
        steps = config.reward_epochs * -(-len(self.sets[0].pictures) // config.batch)
        schedule = LambdaLR(optimizer, lambda step: rise_and_fall(step, steps, config.reward_rise))
        stepper, checkpoint = self._stepper("reward", self.rewarded_as, optimizer, schedule)
        reward = Reward(self.sets[0], self.vocabulary)
        for epoch in range(checkpoint.restore(), config.reward_epochs):
            label = f"self-critical {epoch + 1}/{config.reward_epochs}"
            mean = self_critical_pass(self.network, stepper, self.sets[0], reward, config.batch, config.samples, label)
            blend_weights(blend, start, self.average.module, config.blend)
            self._finish(blend, checkpoint, self.best, "self-critical", epoch + 1, reward=mean)

    def _stepper(
        self, phase: str, identity: str, optimizer: AdamW, schedule: LRScheduler
    ) -> tuple[Stepper, Checkpoint]:
        parts: dict[str, Stateful] = {
            "network": self.network,
            "average": self.average,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        checkpoint = Checkpoint(self.work / f"{phase}.pt", identity, **parts)
        return Stepper(self.network, optimizer, schedule, self.average, self.processes), checkpoint

    def _finish(
        self,
        network: CaptionNetwork,
        checkpoint: Checkpoint,
        best: "Best",
        phase: str,
        epoch: int,
        **numbers: float,
    ) -> None:
        """Score and keep what a pass has made."""
        if self.processes.main:
            scores = self._scored(network)
            best.offer(scores, network)
            checkpoint.save(epoch)
            self.log.write(phase=phase, epoch=epoch, **numbers, dev=scores)
        self.processes.wait()

    def _scored(self, network: CaptionNetwork) -> dict[str, float]:
        """On the processor, where a captioner is served."""
        network = copy.deepcopy(network).cpu() if network.device.type != "cpu" else network
        captioner = CaptionModel(
            "", "", network.backbone, network.decoder, self.vocabulary, self.served, self.config.length_exponent
        )
        return score_captioner(captioner, self.dev, self.config.beams)

    def write(self, folder: Path) -> None:
        network = self.average.module.cpu()
        scores = self.best.restore(network)
        config = {
            "format": 1,
            "kind": "captioner",
            "architecture": network.decoder.architecture,
            "name": network.decoder.architecture,
            "backbone": self.config.backbone,
            "decoder": asdict(network.decoder.shape),
            "length_exponent": self.config.length_exponent,
            "transform": self.served.to_config(),
        }
        start = load_backbone(self.config.backbone).state_dict()
        tensors = changed_tensors("decoder", network.decoder) | changed_tensors("backbone", network.backbone, start)
        files = {"vocabulary.txt": "\n".join(self.vocabulary.words) + "\n"}
        write_model_folder(
            folder, config, tensors, captioner_card(network.decoder.architecture, asdict(self.config), scores), files
        )


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
            unfinished = self.file.with_suffix(".unfinished")
            torch.save({"identity": self.identity, "scores": scores, "module": module.state_dict()}, unfinished)
            os.replace(unfinished, self.file)

    def restore(self, *modules: torch.nn.Module) -> dict[str, float]:
        saved = self._saved()
        assert saved is not None, "a run evaluates before it restores"
        for module in modules:
            module.load_state_dict(saved["module"])  # type: ignore[arg-type]
        return saved["scores"]  # type: ignore[return-value]


def _identity(config: CaptionerConfig, folders: list[Path | None], ignored: frozenset[str] = frozenset()) -> str:
    settings = {name: value for name, value in asdict(config).items() if name not in ignored}
    return hashlib.sha256(json.dumps([settings, [str(folder) for folder in folders]]).encode()).hexdigest()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.captioner", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("architecture", choices=sorted(ARCHITECTURES))
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, help="a TOML file instead of the architecture's own")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="where features are kept")
    parser.add_argument("--work", type=Path, help="checkpoints and the log; default .cache/ARCHITECTURE")
    parser.add_argument("--device", default="", help="cpu, or one GPU of several: cuda:1")
    arguments = parser.parse_args(argv)
    # Every batch has another number of words, and oneDNN keeps a kernel for each: ten gigabytes after an hour.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    kind, file = ARCHITECTURES[arguments.architecture]
    config = read_config(kind, arguments.config or file)
    work = arguments.work or Path(".cache") / arguments.architecture
    processes = launched(arguments.device)
    run = Run(config, arguments.photos, arguments.drawn, arguments.cache, work, processes)
    run.cross_entropy()
    run.self_critical()
    if processes.main:
        run.write(arguments.out)
    processes.end()


if __name__ == "__main__":
    main()
