"""Fine-tune any CLIP on a mix of data sets: `python -m training.clip tune --start FOLDER_OR_ID --data DIR --out DIR`.

All of a tower is trained, its last layers, or nothing of it (Zhai et al., 2022, "LiT"). The weights of the best epoch
are averaged with where they started, and written as a plain transformers folder.
"""

import argparse
import copy
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from imagetext.models.encoder.clip import load_clip, unit_rows
from imagetext.models.folder import CARD, CONFIG, require_source
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import InvalidParameter
from training.cards import tuned_card
from training.clip.mix import Batch, CaptionedSet, DevSplit, Reader, Ready, Source, draw_pass
from training.contrastive import LARGEST_SCALE, Side, backward_in_chunks, hardest_negatives, info_nce
from training.loop import Fit, blend_weights, identity_of, one_cycle, read_config
from training.processes import Processes, launched, mixed_precision
from training.run_log import RunLog

SETTINGS = Path(__file__).with_name("tune.toml")
ALL = -1  # layers of a tower
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the end's weights, to choose from
LARGEST_LOG_SCALE = math.log(LARGEST_SCALE)
SHORTEST = 11  # steps: OneCycleLR divides by the length of its rise minus one
LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TuneConfig:
    """The keys of tune.toml, which explains them."""

    seed: int = 1
    epochs: int = 10
    batch: int = 512
    chunk: int = 32
    captions: int = 2
    max_tokens: int = 77
    picture_layers: int = -1
    text_layers: int = -1
    picture_learning_rate: float = 1e-5
    text_learning_rate: float = 1e-5
    weight_decay: float = 0.1
    average: float = 0.99
    smallest_crop: float = 0.8
    mirror: bool = True
    hardest: float = 0.0
    margin: float = 0.2
    blend: float = 0.0
    patience: int = 3
    dev_pictures: int = 1000
    bfloat16: bool = True


class EarlyStop:
    """Keeps the weights with the best dev score; over after `patience` scores without a better one."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = float("-inf")
        self.waited = 0
        self.weights: dict[str, Any] = {}

    def see(self, score: float, module: nn.Module) -> None:
        if score > self.best:
            self.best, self.waited = score, 0
            self.weights = copy.deepcopy(module.state_dict())
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.weights = state["best"], state["waited"], state["weights"]


def unlock(model: Any, picture_layers: int, text_layers: int) -> None:
    """Make only the last layers of each tower trainable, with the norm and the projection after them.

    0 locks a tower and its projection, -1 unlocks all of it with its embeddings. The temperature is always trained.

    Raises:
        InvalidParameter: a tower has fewer layers, or both are locked.
    """
    model.requires_grad_(False)
    model.logit_scale.requires_grad_(True)
    vision, text = model.vision_model, model.text_model
    _unlock("picture", vision, vision.post_layernorm, model.visual_projection, picture_layers)
    _unlock("text", text, text.final_layer_norm, model.text_projection, text_layers)
    if not (picture_layers or text_layers):
        raise InvalidParameter("Both towers are locked, so there is nothing to train.")


def _unlock(name: str, tower: Any, norm: nn.Module, projection: nn.Module, number: int) -> None:
    layers = tower.encoder.layers
    if not ALL <= number <= len(layers):
        raise InvalidParameter(f"{name}_layers must be between -1 and {len(layers)}, not {number}.")
    if number == ALL:
        tower.requires_grad_(True)
    elif number:
        layers[len(layers) - number :].requires_grad_(True)
        norm.requires_grad_(True)
    projection.requires_grad_(number != 0)


def trained_groups(model: Any, picture_rate: float, text_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """For an optimizer: the trainable parameters, each tower with its learning rate; only matrices decay."""
    towers = (
        (nn.ModuleList([model.vision_model, model.visual_projection]), picture_rate),
        (nn.ModuleList([model.text_model, model.text_projection]), text_rate),
    )
    groups = [{"params": [model.logit_scale], "lr": text_rate, "weight_decay": 0.0}]
    for tower, rate in towers:
        trained = [p for p in tower.parameters() if p.requires_grad]
        for decay, part in (
            (weight_decay, [p for p in trained if p.dim() > 1]),
            (0.0, [p for p in trained if p.dim() < 2]),
        ):
            if part:
                groups.append({"params": part, "lr": rate, "weight_decay": decay})
    return groups


def clip_loss(pictures: Tensor, texts: Tensor, scale: Tensor, hardest: float, margin: float) -> Tensor:
    """InfoNCE plus `hardest` times the hinge on the hardest negatives.

    Args:
        pictures: (n, d) unit rows.
        texts: (n * captions, d) unit rows, the captions of a picture one after the other. Two captions of one picture
            never compete.
        scale: factor of the similarities.
    """
    similar = texts.view(len(pictures), -1, texts.shape[-1]).transpose(0, 1) @ pictures.T
    loss = info_nce(similar * scale)
    return loss + hardest * hardest_negatives(similar, margin) if hardest else loss


class ClipTowers:
    """A CLIP's two towers as functions from a chunk to unit rows in float32."""

    def __init__(self, model: Any, bfloat16: bool) -> None:
        self.model = model
        self.device: torch.device = model.logit_scale.device
        self.bfloat16 = bfloat16

    def pictures(self, chunk: Tensor) -> Tensor:
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_image_features(pixel_values=chunk.to(self.device)))

    def texts(self, chunk: Tensor) -> Tensor:
        ids, mask = chunk.to(self.device).unbind(1)
        with mixed_precision(self.device.type, self.bfloat16):
            return unit_rows(self.model.get_text_features(input_ids=ids, attention_mask=mask))


def require_free(folder: Path) -> None:
    """Raises InvalidParameter if the folder has other files than a model's."""
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / CONFIG).is_file())):
        raise InvalidParameter(f"{folder} is neither new nor empty nor a model folder; choose another one.")


def write_tuned_clip(folder: Path, model: Any, tokenizer: Any, transform: PictureTransform, card: str) -> None:
    """Write weights, tokenizer, preprocessor and card beside `folder`, then move them into it file by file."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    image_processor(transform).save_pretrained(unfinished)
    (unfinished / CARD).write_text(card, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(unfinished.iterdir()):
        file.chmod(0o644)  # safetensors makes it readable only for the owner, but containers run as another user
        os.replace(file, folder / file.name)
    unfinished.rmdir()


def image_processor(transform: PictureTransform) -> Any:
    """The transform in the form of transformers."""
    from transformers import CLIPImageProcessor

    square = {"height": transform.size, "width": transform.size}
    crops = transform.fit == "crop"
    return CLIPImageProcessor(
        do_resize=True,
        size={"shortest_edge": transform.size} if crops else square,
        do_center_crop=crops,
        crop_size=square,
        do_normalize=any(transform.mean) or set(transform.std) != {1.0},
        image_mean=list(transform.mean),
        image_std=list(transform.std),
    )


class TuneRun:
    """One training run: start, data, log and checkpoint. The dev split of the first data set decides."""

    def __init__(
        self, config: TuneConfig, start: str, sources: Sequence[Source], work: Path, processes: Processes
    ) -> None:
        self.config = config
        self.processes = processes
        require_source(start)
        self.encoder = load_clip(start)
        self.sources = sources
        self.start = start
        self.sets = [CaptionedSet.read(source) for source in sources]
        longest = min(config.max_tokens, self.encoder.model.config.text_config.max_position_embeddings)
        self.reader = Reader(self.encoder.transform, self.encoder.wrapper, longest)
        names = [source.folder.name for source in sources]
        if len(set(names)) < len(names):
            raise InvalidParameter(f"Data sets need different folder names, but these are {', '.join(names)}.")
        self.dev = [DevSplit(source.folder, self.reader, config.dev_pictures) for source in sources]
        self.model = self.encoder.model.to(processes.device)
        unlock(self.model, config.picture_layers, config.text_layers)
        self.identity = identity_of(config, [self.encoder.fingerprint, *((s.folder, s.weight) for s in sources)])
        self.work = work
        self.log = RunLog(work / "log.jsonl")

    def train(self) -> Any:
        """The model with the best epoch's weights, averaged with the start's; None except in the main process."""
        config = self.config
        torch.manual_seed(config.seed)
        start = copy.deepcopy(self.model)
        stop = EarlyStop(config.patience)
        fit = Fit(
            self.model,
            trained_groups(self.model, config.picture_learning_rate, config.text_learning_rate, config.weight_decay),
            one_cycle(self._steps(), rise=0.1),
            self.work / "tune.pt",
            self.identity,
            weight_decay=config.weight_decay,
            average=config.average,
            stop=stop,
        )
        done = fit.checkpoint.restore()
        if self.processes.main and not done:
            self.log.write(epoch=0, **self._scored(start, stop))
        for epoch in range(done, config.epochs):
            if self.processes.every(stop.over)[0]:
                break
            record = self._epoch(fit, f"tune {epoch + 1}/{config.epochs}")
            if self.processes.main:
                scores = self._scored(fit.average.module, stop)
                fit.checkpoint.save(epoch + 1)
                self.log.write(epoch=epoch + 1, **record, **scores)
        if not self.processes.main:
            return None
        fit.average.module.load_state_dict(stop.weights)
        return self._blended(start, fit.average.module)

    def _steps(self) -> int:
        # Every epoch has the same number of batches, whatever is drawn.
        state = torch.get_rng_state()
        batches = len(self._draw())
        torch.set_rng_state(state)
        return max(SHORTEST, self.config.epochs * batches)

    def _draw(self) -> list[Batch]:
        config = self.config
        return draw_pass(self.sets, config.batch, config.captions, config.smallest_crop, config.mirror)

    def _epoch(self, fit: Fit[Any], label: str) -> dict[str, float]:
        self.model.train()
        losses, unreadable = [], 0
        plan = self._shared_plan()
        ahead, silent = self.reader.batches(plan), not self.processes.main
        for ready in tqdm(ahead, total=len(plan), desc=label, unit="batch", disable=silent):
            unreadable += ready.unreadable
            fit.optimizer.zero_grad(set_to_none=True)
            loss = self._backward(ready) if self._has_negatives(ready) else math.nan
            if math.isfinite(loss):
                self.processes.average_gradients(self.model)
                nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST_GRADIENT)
                fit.optimizer.step()
                with torch.no_grad():
                    self.model.logit_scale.clamp_(max=LARGEST_LOG_SCALE)
                losses.append(loss)
            fit.schedule.step()
            fit.average.update(self.model)
        mean = sum(losses) / len(losses) if losses else math.nan
        unreadable = sum(self.processes.every(unreadable))
        return {"loss": round(mean, 5), "unreadable": unreadable, "lost_steps": len(plan) - len(losses)}

    def _shared_plan(self) -> list[Batch]:
        self.processes.draw_alike()
        plan = [batch.share(self.processes) for batch in self._draw()]
        self.processes.draw_apart()
        return plan

    def _has_negatives(self, ready: Ready) -> bool:
        """Whether there are at least two pictures, and every process has one."""
        pictures = self.processes.every(len(ready.pictures))
        return sum(pictures) > 1 and min(pictures) > 0

    def _backward(self, ready: Ready) -> float:
        config, towers = self.config, ClipTowers(self.model, self.config.bfloat16)
        pictures = Side(towers.pictures, torch.split(ready.pictures, config.chunk), config.picture_layers != 0)
        texts = Side(towers.texts, torch.split(ready.tokens, config.chunk), config.text_layers != 0)

        def loss(pictures: Tensor, texts: Tensor) -> Tensor:
            return clip_loss(pictures, texts, self.model.logit_scale.exp(), config.hardest, config.margin)

        return backward_in_chunks([pictures, texts], loss, self.processes)

    def _scored(self, model: Any, stop: EarlyStop) -> dict[str, Any]:
        scores = self.scores(model)
        stop.see(_recall(next(iter(scores.values()))), model)
        return {"dev": scores}

    def scores(self, model: Any) -> dict[str, dict[str, float]]:
        """Recall both ways on every dev split, by the name of its folder."""
        model.eval()
        towers = ClipTowers(model, self.config.bfloat16)
        return {split.name: split.scores(towers.pictures, towers.texts, self.config.chunk) for split in self.dev}

    def _blended(self, start: Any, end: Any) -> Any:
        """Between start and end (Wortsman et al., 2022, "WiSE-FT"): at `blend`, or where the first dev split peaks."""
        stop = EarlyStop(len(SHARES))
        mixed = copy.deepcopy(end)
        for share in [self.config.blend] if self.config.blend else SHARES:
            blend_weights(mixed, start, end, share)
            self.log.write(blend=share, **self._scored(mixed, stop))
        mixed.load_state_dict(stop.weights)
        return mixed

    def write(self, model: Any, folder: Path) -> None:
        """A plain transformers folder, in float32."""
        data = [str(source) for source in self.sources]
        card = tuned_card(folder.name, self.start, data, asdict(self.config), self.scores(model))
        write_tuned_clip(folder, model.to("cpu"), self.encoder.wrapper, self.encoder.transform, card)


def _recall(scores: dict[str, float]) -> float:
    """The mean of all recalls, both ways."""
    recalls = [value for name, value in scores.items() if name.rpartition("_")[2] in ("r1", "r5", "r10")]
    return sum(recalls) / len(recalls)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", required=True, metavar="FOLDER_OR_ID", help="the CLIP to start from")
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DIR[:WEIGHT]",
        help="a data set; the first one's dev split decides",
    )
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=SETTINGS)
    parser.add_argument("--work", type=Path, default=Path(".cache/clip-tune"), help="checkpoint and log")
    parser.add_argument("--device", default="", help="cpu, or one of several GPUs, such as cuda:1")


def run(options: argparse.Namespace) -> None:
    require_free(options.out)
    config = read_config(TuneConfig, options.config)
    sources = [Source.parse(text) for text in options.data]
    processes = launched(options.device)
    training = TuneRun(config, options.start, sources, options.work, processes)
    model = training.train()
    if processes.main:
        training.write(model, options.out)
    processes.end()
