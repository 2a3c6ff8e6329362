"""Fine-tune any CLIP on a mix of data sets, and average it with where it started."""

import argparse
import copy
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.encoder.clip import load_clip
from imagetext.errors import InvalidParameter
from imagetext.model_folder import require_source
from training.average import Average, blend_weights
from training.checkpoint import Checkpoint
from training.clip.cached_gradient import Side, backward_in_chunks
from training.clip.cards import tuned_card
from training.clip.dev import DevSplit
from training.clip.early_stop import EarlyStop
from training.clip.losses import clip_loss
from training.clip.mix import Batch, CaptionedSet, Source, draw_pass
from training.clip.reading import Reader, Ready
from training.clip.towers import Towers
from training.clip.tune_config import CONFIG, TuneConfig
from training.clip.tuned_folder import require_free, write_tuned_clip
from training.clip.unlocking import trained_groups, unlock
from training.config import read_config
from training.processes import Processes, launched
from training.run_log import RunLog

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the end's weights, to choose from
LARGEST_SCALE = math.log(100)  # Radford et al., 2021, section 2.5
SHORTEST = 11  # steps; OneCycleLR divides by the length of its rise, less one step
CLIP = 1.0  # of the gradient's length


class TuneRun:
    """One run: its start, data, log and checkpoint. The first data set's dev split decides."""

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
            raise InvalidParameter(f"Each data set needs a name of its own; these are called {', '.join(names)}.")
        self.dev = [DevSplit(source.folder, self.reader, config.dev_pictures) for source in sources]
        self.model = self.encoder.model.to(processes.device)
        unlock(self.model, config.picture_layers, config.text_layers)
        identity = [asdict(config), self.encoder.fingerprint, [[str(s.folder), s.weight] for s in sources]]
        self.identity = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self.work = work
        self.log = RunLog(work / "log.jsonl")

    def train(self) -> Any:
        """Returns the model with the weights to keep: the best pass's, averaged with the start's. Only the main process
        has it."""
        config = self.config
        torch.manual_seed(config.seed)
        start = copy.deepcopy(self.model)
        average = Average(self.model, config.average)
        optimizer = AdamW(
            trained_groups(self.model, config.picture_learning_rate, config.text_learning_rate, config.weight_decay)
        )
        schedule = OneCycleLR(
            optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=self._steps(), pct_start=0.1
        )
        stop = EarlyStop(config.patience)
        checkpoint = Checkpoint(
            self.work / "tune.pt",
            self.identity,
            model=self.model,
            average=average,
            optimizer=optimizer,
            schedule=schedule,
            stop=stop,
        )
        done = checkpoint.restore()
        if self.processes.main and not done:
            self.log.write(epoch=0, **self._scored(start, stop))
        for epoch in range(done, config.epochs):
            if self.processes.every(stop.over)[0]:
                break
            record = self._pass(optimizer, schedule, average, f"tune {epoch + 1}/{config.epochs}")
            if self.processes.main:
                scores = self._scored(average.module, stop)
                checkpoint.save(epoch + 1)
                self.log.write(epoch=epoch + 1, **record, **scores)
        if not self.processes.main:
            return None
        average.module.load_state_dict(stop.weights)
        return self._blended(start, average.module)

    def _steps(self) -> int:
        # As many in every pass: what is drawn differs, not how much.
        state = torch.get_rng_state()
        batches = len(self._draw())
        torch.set_rng_state(state)
        return max(SHORTEST, self.config.epochs * batches)

    def _draw(self) -> list[Batch]:
        config = self.config
        return draw_pass(self.sets, config.batch, config.captions, config.smallest_crop, config.mirror)

    def _pass(self, optimizer: AdamW, schedule: OneCycleLR, average: Average[Any], label: str) -> dict[str, float]:
        self.model.train()
        losses, unreadable = [], 0
        plan = self._shared_plan()
        ahead, silent = self.reader.batches(plan), not self.processes.main
        for ready in tqdm(ahead, total=len(plan), desc=label, unit="batch", disable=silent):
            unreadable += ready.unreadable
            optimizer.zero_grad(set_to_none=True)
            loss = self._backward(ready) if self._has_negatives(ready) else math.nan
            if math.isfinite(loss):
                self.processes.average_gradients(self.model)
                nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
                optimizer.step()
                with torch.no_grad():
                    self.model.logit_scale.clamp_(max=LARGEST_SCALE)
                losses.append(loss)
            schedule.step()
            average.update(self.model)
        mean = sum(losses) / len(losses) if losses else math.nan
        unreadable = sum(self.processes.every(unreadable))
        return {"loss": round(mean, 5), "unreadable": unreadable, "lost_steps": len(plan) - len(losses)}

    def _shared_plan(self) -> list[Batch]:
        self.processes.draw_alike()
        plan = [batch.share(self.processes) for batch in self._draw()]
        self.processes.draw_apart()
        return plan

    def _has_negatives(self, ready: Ready) -> bool:
        """Whether a picture has another one beside it, and no process is without."""
        pictures = self.processes.every(len(ready.pictures))
        return sum(pictures) > 1 and min(pictures) > 0

    def _backward(self, ready: Ready) -> float:
        config, towers = self.config, Towers(self.model, self.config.bfloat16)
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
        """Both directions on every dev split, by the name of its folder."""
        model.eval()
        towers = Towers(model, self.config.bfloat16)
        return {split.name: split.scores(towers.pictures, towers.texts, self.config.chunk) for split in self.dev}

    def _blended(self, start: Any, end: Any) -> Any:
        """On the line from start to end (Wortsman et al., 2022, "WiSE-FT"), where it is best on the first dev split."""
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
    parser.add_argument("--start", required=True, metavar="FOLDER_OR_ID", help="the CLIP to begin with")
    parser.add_argument(
        "--data", action="append", required=True, metavar="DIR[:WEIGHT]", help="a data set; the first one's dev decides"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--work", type=Path, default=Path(".cache/clip-tune"), help="checkpoint and log")
    parser.add_argument("--device", default="", help="cpu, or one GPU of several: cuda:1")


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
