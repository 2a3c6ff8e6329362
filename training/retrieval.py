"""Train the compact retrieval model: its heads first, then the upper layers of both towers with them.

    python -m training.retrieval --photos DIR [--drawn DIR] --out models/retrieval

Stopped at any moment it goes on from its last saved pass.
"""

import argparse
import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from imagetext.models.backbone import backbone_transform, load_backbone
from imagetext.models.encoder.calibration import Calibration
from imagetext.models.encoder.dual import ARCHITECTURE, TextTower
from imagetext.models.encoder.minilm import Head, HeadShape, load_minilm
from imagetext.models.transform import PictureTransform
from imagetext.models.weights import changed_tensors, write_model_folder
from training.calibrating import fit_calibration
from training.cards import retrieval_card
from training.contrastive import Heads, Towers, contrastive_pass
from training.dataset import CaptionedPicture, read_split
from training.evaluation import retrieval_scores
from training.features import DRAWN_VIEWS, WHOLE, cached_features
from training.loop import Average, Checkpoint, Stateful, Stepper, blend_weights, parameter_groups, read_config
from training.pairs import PairSet, Untuned, pair_set
from training.run_log import RunLog
from training.tuning import starting_backbone, starting_encoder

NAME = "dual-encoder"
SHARES = (0.3, 0.5, 0.7, 1.0)
RECALLS = ("text_to_picture_r1", "text_to_picture_r5", "text_to_picture_r10")
Network = TypeVar("Network", Heads, Towers)


@dataclass(frozen=True)
class RetrievalConfig:
    """The keys of retrieval.toml, explained there."""

    seed: int = 1
    backbone: str = "efficientnet-lite0"
    picture_from: str = ".cache/models/caption-gru"
    start: str = ""
    served_size: int = 288
    dimensions: int = 512
    hidden: int = 1024
    views: int = 6
    drawn_share: float = 0.1
    picture_dropout: float = 0.5
    text_dropout: float = 0.1
    weight_decay: float = 0.1
    average: float = 0.95
    head_epochs: int = 40
    head_batch: int = 1000
    head_learning_rate: float = 7e-4
    epochs: int = 6
    batch: int = 500
    captions: int = 2
    text_layers: int = 3
    learning_rate: float = 3e-4
    picture_learning_rate: float = 1e-4
    text_learning_rate: float = 6e-5
    blend: float = 1.0


class Run:
    """One training run: its data, log and checkpoints."""

    def __init__(self, config: RetrievalConfig, photos: Path, drawn: Path | None, cache: Path, work: Path) -> None:
        self.config = config
        self.work = work
        self.log = RunLog(work / "log.jsonl")
        self.transform = backbone_transform(config.backbone)
        self.served = replace(self.transform, size=config.served_size)
        self.identity = _identity(config, [photos, drawn])
        self.start = starting_encoder(config.start) if config.start else None
        self.backbone = self.start.backbone if self.start else starting_backbone(config.backbone, config.picture_from)
        self.tower = self.start.text_tower if self.start else TextTower(*load_minilm())
        self.cache = cache
        self.sets = [self._set(read_split(photos, "train"), self.transform, config.views)]
        self.dev = {"photos": self._set(read_split(photos, "dev"), self.served, 1)}
        if drawn:
            self.sets.append(self._set(read_split(drawn, "train"), self.transform, DRAWN_VIEWS, config.drawn_share))
            self.dev["drawn"] = self._set(read_split(drawn, "dev"), self.served, 1)

    def _set(
        self, pictures: list[CaptionedPicture], transform: PictureTransform, views: int, share: float = 1.0
    ) -> PairSet:
        features = cached_features(pictures, views, self.cache, transform, self.config.backbone)
        untuned = None if self.start else Untuned(self.backbone, self.cache)
        return pair_set(pictures, features, self.tower, untuned, share)

    def train(self) -> Towers:
        config = self.config
        towers = Towers(self._trained_heads(), self.backbone, self.tower.bert, config.text_layers)
        start = copy.deepcopy(towers)
        groups = parameter_groups(
            (towers.heads, config.learning_rate),
            (towers.backbone, config.picture_learning_rate),
            (towers.bert, config.text_learning_rate),
        )
        return self._blended(start, self._fit("towers", towers, groups, config.epochs, config.batch, config.captions))

    def _trained_heads(self) -> Heads:
        config = self.config
        if self.start:
            self.start.picture_head.dropout.p, self.start.text_head.dropout.p = (
                config.picture_dropout,
                config.text_dropout,
            )
            return Heads(self.start.picture_head, self.start.text_head)
        torch.manual_seed(config.seed)
        heads = self._heads()
        groups = parameter_groups((heads, config.head_learning_rate))
        return self._fit("heads", heads, groups, config.head_epochs, config.head_batch, captions=1)

    def _blended(self, start: Towers, end: Towers) -> Towers:
        """On the line from start to end (Wortsman et al., 2022, "WiSE-FT")."""
        shares = [self.config.blend] if self.config.blend else list(SHARES)
        best, best_recall = end, -1.0
        for share in shares:
            mixed = copy.deepcopy(end)
            blend_weights(mixed, start, end, share)
            scores = self.scores(mixed)
            self.log.write(phase="blend", epoch=round(100 * share), **scores)
            recall = sum(scores["photos"][name] for name in RECALLS)
            if recall > best_recall:
                best, best_recall = mixed, recall
        return best

    def _fit(
        self, name: str, network: Network, groups: list[dict[str, Any]], epochs: int, batch: int, captions: int
    ) -> Network:
        """Returns the averaged weights."""
        torch.manual_seed(self.config.seed)
        average = Average(network, self.config.average)
        optimizer = AdamW(groups, weight_decay=self.config.weight_decay)
        steps = epochs * sum(-(-part.rows_each_pass // batch) for part in self.sets)
        schedule = OneCycleLR(optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.15)
        stepper = Stepper(network, optimizer, schedule, average)
        parts: dict[str, Stateful] = {
            "network": network,
            "average": average,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        checkpoint = Checkpoint(self.work / f"{name}.pt", self.identity, **parts)
        for epoch in range(checkpoint.restore(), epochs):
            label = f"{name} {epoch + 1}/{epochs}"
            loss = contrastive_pass(network, stepper, self.sets, batch, captions, label)
            checkpoint.save(epoch + 1)
            self.log.write(phase=name, epoch=epoch + 1, loss=loss, **self.scores(average.module))
        return average.module

    def _heads(self) -> Heads:
        config, photos = self.config, self.sets[0]
        shapes = [
            HeadShape(part.shape[-1], config.hidden, config.dimensions) for part in (photos.pooled, photos.states)
        ]
        heads = Heads(Head(shapes[0], config.picture_dropout), Head(shapes[1], config.text_dropout))
        heads.picture.standardise_by(photos.pooled[:, WHOLE])
        heads.text.standardise_by(photos.states.flatten(0, 1))
        return heads

    def scores(self, network: Heads | Towers) -> dict[str, dict[str, float]]:
        """Recall on each dev split; of drawn scenes each has one full sentence, its first."""
        found = {}
        for name, part in self.dev.items():
            texts, pictures = network.encode(part)
            captions = 1 if name == "drawn" else part.tokens.shape[1]
            owner = [row for row in range(len(part)) for _ in range(captions)]
            found[name] = retrieval_scores(texts[:, :captions].flatten(0, 1).numpy(), pictures.numpy(), owner)
        return found

    def write(self, towers: Towers, folder: Path) -> None:
        texts, pictures = towers.encode(self.dev["photos"])
        calibration: Calibration = fit_calibration(texts.flatten(0, 1), pictures)
        heads = towers.heads
        config = {
            "format": 1,
            "kind": "encoder",
            "architecture": ARCHITECTURE,
            "name": NAME,
            "backbone": self.config.backbone,
            "picture_head": heads.picture.shape.to_config(),
            "text_head": heads.text.shape.to_config(),
            "transform": self.served.to_config(),
            "calibration": calibration.to_config(),
        }
        tensors = (
            changed_tensors("picture_head", heads.picture)
            | changed_tensors("text_head", heads.text)
            | changed_tensors("backbone", towers.backbone, load_backbone(self.config.backbone).state_dict())
            | changed_tensors("bert", towers.bert, load_minilm()[0].state_dict())
        )
        write_model_folder(folder, config, tensors, retrieval_card(NAME, asdict(self.config), self.scores(towers)))


def _identity(config: RetrievalConfig, folders: Sequence[Path | None]) -> str:
    whole = json.dumps([asdict(config), [str(folder) for folder in folders]])
    return hashlib.sha256(whole.encode()).hexdigest()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.retrieval", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, help="drawn scenes in the same layout")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("retrieval.toml"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="where features are kept")
    parser.add_argument("--work", type=Path, default=Path(".cache/retrieval"), help="checkpoints and the log")
    arguments = parser.parse_args(argv)
    run = Run(
        read_config(RetrievalConfig, arguments.config),
        arguments.photos,
        arguments.drawn,
        arguments.cache,
        arguments.work,
    )
    run.write(run.train(), arguments.out)


if __name__ == "__main__":
    main()
