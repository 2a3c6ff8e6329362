"""Train the compact retrieval model: first the heads, then the upper layers of both towers with them.

    python -m training.retrieval --photos DIR [--drawn DIR] --out models/retrieval

An interrupted run continues after its last finished epoch.
"""

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from imagetext.models.backbone import Backbone, backbone_transform
from imagetext.models.encoder.calibration import Calibration
from imagetext.models.encoder.dual import ARCHITECTURE, TextTower
from imagetext.models.encoder.minilm import PAD, Head, HeadShape, load_minilm, pooled_grid, text_states
from imagetext.models.transform import PictureTransform
from training.cards import retrieval_card
from training.command import add_folders, add_run, command_parser, exit_status, write_encoder
from training.contrastive import LARGEST_SCALE, info_nce
from training.dataset import CaptionedPicture, read_split
from training.encoded import fit_calibration
from training.features import DRAWN_VIEWS, WHOLE, cached_features
from training.loop import Fit, Groups, Stepper, blend_weights, identity_of, one_cycle, parameter_groups, read_config
from training.pairs import Drawn, PairSet, Untuned, pair_batches, pair_set
from training.processes import mixed_precision
from training.ranking import retrieval_scores
from training.run_log import RunLog
from training.tuning import starting_backbone, starting_encoder, tune_top

NAME = "dual-encoder"
SHARES = (0.3, 0.5, 0.7, 1.0)  # of the end's weights, to choose from
RECALLS = ("text_to_picture_r1", "text_to_picture_r5", "text_to_picture_r10")
START_TEMPERATURE = 0.05
ENCODED = 50  # pictures at once, with all their captions


@dataclass(frozen=True)
class RetrievalConfig:
    """The keys of retrieval.toml, which explains them."""

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


class Heads(nn.Module):
    """Both heads, over the untuned towers' outputs, and the temperature of the loss (Radford et al., 2021, 2.3)."""

    def __init__(self, picture: Head, text: Head) -> None:
        super().__init__()
        self.picture = picture
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / START_TEMPERATURE)))

    def forward(self, part: PairSet, drawn: Drawn) -> Tensor:
        # Products in bfloat16 halve the time of a step on processors that have them; similarities stay in float32.
        with mixed_precision(enabled=self.training):
            pictures = self.picture(part.pooled[drawn.rows, drawn.views])
            texts = self.text(part.states[drawn.rows[:, None], drawn.captions])
        return self.similarities(pictures, texts)

    @torch.no_grad()
    def encode(self, part: PairSet) -> tuple[Tensor, Tensor]:
        """Unit rows of all captions (n, captions, dimensions) and of all whole pictures (n, dimensions)."""
        return self.text(part.states), self.picture(part.pooled[:, WHOLE])

    def similarities(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """Unit rows (n, dimensions) and (n, captions, dimensions) -> (captions, n texts, n pictures)."""
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        return texts.float().transpose(0, 1) @ pictures.float().T * scale


class Towers(nn.Module):
    """The heads, and under them the trained parts of the towers: the picture network's top and MiniLM's last layers."""

    def __init__(self, heads: Heads, backbone: Backbone, bert: nn.Module, text_layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.backbone = backbone
        self.bert = bert
        tune_top(backbone)
        layers = bert.encoder.layer  # type: ignore[union-attr]
        bert.requires_grad_(False)
        for layer in layers[len(layers) - text_layers :]:  # type: ignore[arg-type,index]
            layer.requires_grad_(True)

    def train(self, mode: bool = True) -> "Towers":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, part: PairSet, drawn: Drawn) -> Tensor:
        with mixed_precision(enabled=self.training):
            pictures = self.pictures(part.features.of(drawn.rows, drawn.views))
            texts = self.texts(part.tokens[drawn.rows[:, None], drawn.captions].flatten(0, 1))
        return self.heads.similarities(pictures, texts.view(*drawn.captions.shape, -1))

    @torch.no_grad()
    def encode(self, part: PairSet) -> tuple[Tensor, Tensor]:
        """Unit rows of all captions (n, captions, dimensions) and of all whole pictures (n, dimensions)."""
        pictures, texts = [], []
        with mixed_precision():
            for rows in torch.split(torch.arange(len(part)), ENCODED):
                pictures.append(self.pictures(part.features.of(rows, torch.full_like(rows, WHOLE))).float())
                texts.append(
                    self.texts(part.tokens[rows].flatten(0, 1)).float().view(len(rows), part.tokens.shape[1], -1)
                )
        return torch.cat(texts), torch.cat(pictures)

    def pictures(self, maps: Tensor) -> Tensor:
        """The trunk's maps -> unit rows (n, dimensions)."""
        vectors: Tensor = self.heads.picture(pooled_grid(self.backbone.grid(maps)))
        return vectors

    def texts(self, tokens: Tensor) -> Tensor:
        """Token ids (n, steps), padded with 0 -> unit rows (n, dimensions)."""
        longest = int((tokens != PAD).sum(1).max())
        vectors: Tensor = self.heads.text(text_states(self.bert, tokens[:, :longest]))
        return vectors


Network = TypeVar("Network", Heads, Towers)


def contrastive_pass(
    network: Heads | Towers, stepper: Stepper, sets: Sequence[PairSet], batch: int, captions: int, label: str
) -> float:
    """One epoch over each set's share; returns the mean loss in nats."""
    network.train()
    losses = []
    total = sum(-(-part.rows_each_pass // batch) for part in sets)
    for part, rows in tqdm(pair_batches(sets, batch), total=total, desc=label, unit="batch", leave=False):
        losses.append(stepper.step(info_nce(network(part, part.draw(rows, captions)))))
    return sum(losses) / len(losses)


class Run:
    """One training run: data, log and checkpoints."""

    def __init__(self, config: RetrievalConfig, photos: Path, drawn: Path | None, cache: Path, work: Path) -> None:
        self.config = config
        self.work = work
        self.log = RunLog(work / "log.jsonl")
        self.transform = backbone_transform(config.backbone)
        self.served = replace(self.transform, size=config.served_size)
        self.identity = identity_of(config, [photos, drawn])
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
        """Between start and end (Wortsman et al., 2022, "WiSE-FT"): at `blend`, or else where the dev split is best."""
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

    def _fit(self, name: str, network: Network, groups: Groups, epochs: int, batch: int, captions: int) -> Network:
        """Returns the averaged weights."""
        torch.manual_seed(self.config.seed)
        steps = epochs * sum(-(-part.rows_each_pass // batch) for part in self.sets)
        fit = Fit(
            network,
            groups,
            one_cycle(steps),
            self.work / f"{name}.pt",
            self.identity,
            weight_decay=self.config.weight_decay,
            average=self.config.average,
        )
        for epoch in range(fit.checkpoint.restore(), epochs):
            label = f"{name} {epoch + 1}/{epochs}"
            loss = contrastive_pass(network, fit.stepper, self.sets, batch, captions, label)
            fit.checkpoint.save(epoch + 1)
            self.log.write(phase=name, epoch=epoch + 1, loss=loss, **self.scores(fit.average.module))
        return fit.average.module

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
        """Recall on each dev split; of a drawn scene only the first caption is complete, so only that one counts."""
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
        card = retrieval_card(NAME, asdict(self.config), self.scores(towers))
        trained = {"picture_head": heads.picture, "text_head": heads.text}
        write_encoder(folder, config, trained, towers.backbone, towers.bert, card)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("retrieval", __doc__)
    add_folders(parser, "photos", "out", optional=["drawn"])
    add_run(parser, Path(__file__).with_name("retrieval.toml"), ".cache/retrieval")
    options = parser.parse_args(argv)

    def train() -> None:
        config = read_config(RetrievalConfig, options.config)
        run = Run(config, options.photos, options.drawn, options.cache, options.work)
        run.write(run.train(), options.out)

    return exit_status(train)


if __name__ == "__main__":
    sys.exit(main())
