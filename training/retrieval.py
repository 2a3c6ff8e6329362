"""Train the compact retrieval model: teachers from several seeds, then one student of them all.

    python -m training.retrieval --photos DIR [--drawn DIR] --out models/retrieval

Stopped at any moment it goes on from its last saved pass.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.encoder.calibration import Calibration
from imagetext.encoder.dual import ARCHITECTURE, TextTower
from imagetext.encoder.network import Head, HeadShape, load_minilm
from imagetext.model_folder import changed_tensors, write_model_folder
from imagetext.transform import PictureTransform
from training.average import Average
from training.calibrating import fit_calibration
from training.cards import retrieval_card
from training.checkpoint import Checkpoint, Stateful
from training.config import read_config
from training.contrastive import Heads, contrastive_pass
from training.dataset import CaptionedPicture, read_split
from training.evaluation import retrieval_scores
from training.features import DRAWN_VIEWS, WHOLE, cached_features
from training.pairs import PairSet, pair_set
from training.run_log import RunLog
from training.step import Stepper

NAME = "dual-encoder"
SAVE_EVERY = 5  # passes


@dataclass(frozen=True)
class RetrievalConfig:
    """The keys of retrieval.toml, explained there."""

    seed: int = 1
    backbone: str = "efficientnet-lite0"
    dimensions: int = 512
    hidden: int = 768
    views: int = 6
    drawn_share: float = 0.17
    epochs: int = 60
    batch: int = 1000
    learning_rate: float = 7e-4
    weight_decay: float = 0.1
    picture_dropout: float = 0.6
    text_dropout: float = 0.15
    average: float = 0.98
    teachers: int = 3
    distillation: float = 0.6


class Run:
    """One training run: its data, log and checkpoints."""

    def __init__(self, config: RetrievalConfig, photos: Path, drawn: Path | None, cache: Path, work: Path) -> None:
        self.config = config
        self.work = work
        self.log = RunLog(work / "log.jsonl")
        self.transform = PictureTransform()
        self.identity = _identity(config, [photos, drawn])
        self.tower = TextTower(*load_minilm())
        self.cache = cache
        self.sets = [self._set(read_split(photos, "train"), config.views)]
        self.dev = {"photos": self._set(read_split(photos, "dev"), 1)}
        if drawn:
            self.sets.append(self._set(read_split(drawn, "train"), DRAWN_VIEWS, config.drawn_share))
            self.dev["drawn"] = self._set(read_split(drawn, "dev"), 1)

    def _set(self, pictures: list[CaptionedPicture], views: int, share: float = 1.0) -> PairSet:
        features = cached_features(pictures, views, self.cache, self.transform, self.config.backbone)
        return pair_set(pictures, features, self.tower, self.cache, share)

    def train(self) -> Heads:
        """The student, after its teachers."""
        teachers = [self._fit(f"teacher-{number + 1}", number, []) for number in range(self.config.teachers)]
        return self._fit("student", self.config.teachers, teachers)

    def _fit(self, name: str, number: int, teachers: Sequence[Heads]) -> Heads:
        config = self.config
        torch.manual_seed(config.seed + number)
        heads = self._heads()
        average = Average(heads, config.average)
        steps = config.epochs * sum(-(-part.rows_each_pass // config.batch) for part in self.sets)
        optimizer = AdamW(heads.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=0.15)
        stepper = Stepper(heads, optimizer, schedule, average)
        parts: dict[str, Stateful] = {"heads": heads, "average": average, "optimizer": optimizer, "schedule": schedule}
        checkpoint = Checkpoint(self.work / f"{name}.pt", self.identity, **parts)
        for epoch in tqdm(range(checkpoint.restore(), config.epochs), desc=name, unit="pass"):
            loss = contrastive_pass(heads, stepper, self.sets, config.batch, teachers, config.distillation)
            if (epoch + 1) % SAVE_EVERY == 0 or epoch + 1 == config.epochs:
                checkpoint.save(epoch + 1)
                self.log.write(model=name, epoch=epoch + 1, loss=loss, **self.scores(average.module)["photos"])
        return average.module

    def _heads(self) -> Heads:
        config, photos = self.config, self.sets[0]
        shapes = [
            HeadShape(part.shape[-1], config.hidden, config.dimensions) for part in (photos.pictures, photos.texts)
        ]
        heads = Heads(Head(shapes[0], config.picture_dropout), Head(shapes[1], config.text_dropout))
        heads.picture.standardise_by(torch.cat([part.pictures[:, WHOLE] for part in self.sets]))
        heads.text.standardise_by(torch.cat([part.texts.flatten(0, 1) for part in self.sets]))
        return heads

    @torch.no_grad()
    def vectors(self, heads: Heads, part: PairSet) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit rows of all captions and of all whole pictures."""
        return heads.text(part.texts.flatten(0, 1)), heads.picture(part.pictures[:, WHOLE])

    def scores(self, heads: Heads) -> dict[str, dict[str, float]]:
        """Recall on each dev split; of drawn scenes each has one full sentence, its first."""
        found = {}
        for name, part in self.dev.items():
            texts, pictures = self.vectors(heads, part)
            captions = part.texts.shape[1]
            step = captions if name == "drawn" else 1
            owner = range(len(part)) if name == "drawn" else [row // captions for row in range(len(texts))]
            found[name] = retrieval_scores(texts[::step].numpy(), pictures.numpy(), owner)
        return found

    def write(self, heads: Heads, folder: Path) -> None:
        texts, pictures = self.vectors(heads, self.dev["photos"])
        calibration: Calibration = fit_calibration(texts, pictures)
        config = {
            "format": 1,
            "kind": "encoder",
            "architecture": ARCHITECTURE,
            "name": NAME,
            "backbone": self.config.backbone,
            "picture_head": heads.picture.shape.to_config(),
            "text_head": heads.text.shape.to_config(),
            "transform": self.transform.to_config(),
            "calibration": asdict(calibration),
        }
        tensors = changed_tensors("picture_head", heads.picture) | changed_tensors("text_head", heads.text)
        write_model_folder(folder, config, tensors, retrieval_card(NAME, asdict(self.config), self.scores(heads)))


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
