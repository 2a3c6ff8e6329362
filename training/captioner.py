"""Train a captioner: cross-entropy, then self-critical training on CIDEr-D.

    python -m training.captioner gru-attention --photos DIR [--drawn DIR] --out models/caption-gru

An interrupted run continues after its last finished epoch. The weights of the best epoch on the dev split are kept.
"""

import argparse
import copy
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from tqdm import tqdm

from imagetext.models.backbone import Backbone, backbone_transform
from imagetext.models.captioner.decoder import Decoder, Memory, repeated
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape
from imagetext.models.captioner.vocabulary import END, PAD, SPECIAL, START, Vocabulary, words_of
from imagetext.models.encoder.minilm import load_minilm
from imagetext.models.transform import PictureTransform
from training.captions import CaptionSet, batches, caption_set, shifted
from training.cards import captioner_card
from training.command import add_folders, command_parser, exit_status, write_captioner
from training.dataset import CaptionedPicture, read_split
from training.features import DRAWN_VIEWS, cached_features
from training.loop import (
    Fit,
    Groups,
    Schedule,
    Stepper,
    blend_weights,
    identity_of,
    one_cycle,
    parameter_groups,
    read_config,
)
from training.metrics import CiderD, CiderVector, caption_scores
from training.processes import Processes, launched, mixed_precision
from training.run_log import RunLog
from training.teachers import Opinions, ask_teachers, load_teacher
from training.tuning import start_from, starting_backbone, tune_top

# Settings of the second phase: changing them does not repeat the first.
REWARD_KEYS = frozenset({"reward_epochs", "reward_learning_rate", "reward_rise", "samples", "blend"})
END_WORD = "<end>"
BATCH = 50  # pictures of the dev split


@dataclass(frozen=True)
class CaptionerConfig(ABC):
    """The keys that every captioner's TOML file may have; captioner.toml explains them."""

    seed: int = 1
    backbone: str = "efficientnet-lite0"
    picture_from: str = ""
    start: str = ""
    teacher: str = ""
    taught: float = 0.0
    min_count: int = 5
    max_words: int = 20
    views: int = 6
    drawn: int = 1000
    epochs: int = 10
    batch: int = 50
    captions: int = 5
    learning_rate: float = 1e-3
    picture_learning_rate: float = 1e-4
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    feature_dropout: float = 0.3
    dropout: float = 0.5
    average: float = 0.998
    reward_epochs: int = 4
    reward_learning_rate: float = 5e-5
    reward_rise: float = 0.0
    samples: int = 5
    blend: float = 0.4
    beams: int = 3
    length_exponent: float = 0.9
    served_size: int = 0

    @abstractmethod
    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> AttentionDecoder | VitBert:
        """A new decoder, before training."""


@dataclass(frozen=True)
class GruConfig(CaptionerConfig):
    """captioner.toml"""

    width: int = 512
    attention_width: int = 256

    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> AttentionDecoder:
        shape = DecoderShape(len(vocabulary), backbone.channels, self.width, self.attention_width)
        return AttentionDecoder(shape, self.feature_dropout, self.dropout)


@dataclass(frozen=True)
class VitBertConfig(CaptionerConfig):
    """vit_bert.toml; its width is MiniLM's."""

    picture_from: str = ".cache/models/caption-gru"
    teacher: str = ".cache/models/caption-gru"
    taught: float = 0.7
    captions: int = 3
    learning_rate: float = 4e-4
    picture_learning_rate: float = 0.0
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    dropout: float = 0.15
    average: float = 0.996
    reward_learning_rate: float = 2e-5
    reward_rise: float = 0.05
    places: int = 49
    encoder_layers: int = 2
    decoder_layers: int = 2
    served_size: int = 256

    def decoder(self, vocabulary: Vocabulary, backbone: Backbone) -> VitBert:
        minilm, tokenizer = load_minilm()
        shape = VitBertShape(
            len(vocabulary),
            backbone.channels,
            self.places,
            minilm.config.hidden_size,
            minilm.config.num_attention_heads,
            self.encoder_layers,
            self.decoder_layers,
        )
        network = VitBert(shape, self.feature_dropout, self.dropout)
        start_from_minilm(network, vocabulary, minilm, tokenizer)
        return network


ARCHITECTURES: dict[str, tuple[type[CaptionerConfig], Path]] = {
    AttentionDecoder.architecture: (GruConfig, Path(__file__).with_name("captioner.toml")),
    VitBert.architecture: (VitBertConfig, Path(__file__).with_name("vit_bert.toml")),
}


class CaptionNetwork(nn.Module):
    """The decoder and the picture network under it, whose top is trained if `tuned`."""

    def __init__(self, backbone: Backbone, decoder: AttentionDecoder | VitBert, tuned: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        if tuned:
            tune_top(backbone)
        else:
            backbone.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def train(self, mode: bool = True) -> "CaptionNetwork":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, maps: Tensor, words: Tensor, counted: Tensor) -> Tensor:
        """The trunk's maps; the rest as in `Decoder.teach` -> logits (steps counted, vocabulary) in float32."""
        decoder: Decoder = self.decoder
        return decoder.teach(words, decoder.remember(self.backbone.grid(maps)), counted).float()


@torch.no_grad()
def start_from_minilm(network: VitBert, vocabulary: Vocabulary, minilm: Any, tokenizer: Any) -> None:
    """Copy MiniLM's embeddings and layers, evenly spread over its depth; cross-attention keeps its random weights."""
    bert = network.decoder.bert.bert
    depth, layers = len(minilm.encoder.layer), bert.encoder.layer
    for number, layer in enumerate(layers):
        copied = round(number * (depth - 1) / max(1, len(layers) - 1))
        layer.load_state_dict(minilm.encoder.layer[copied].state_dict(), strict=False)
    theirs, mine = minilm.embeddings, bert.embeddings
    mine.position_embeddings.weight.copy_(theirs.position_embeddings.weight[: network.shape.max_words])
    mine.token_type_embeddings.weight.copy_(theirs.token_type_embeddings.weight)
    mine.LayerNorm.load_state_dict(theirs.LayerNorm.state_dict())
    # A word's embedding is the mean of its pieces'; special tokens come in the order of `SPECIAL`.
    names = [tokenizer.pad_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.unk_token]
    assert len(names) == len(SPECIAL)
    pieces = [tokenizer.tokenize(word) for word in vocabulary.words]
    rows = [tokenizer.convert_tokens_to_ids(found) for found in [*([name] for name in names), *pieces]]
    mine.word_embeddings.weight.copy_(torch.stack([theirs.word_embeddings.weight[row].mean(0) for row in rows]))


@dataclass(frozen=True)
class Lesson:
    """A set of captioned pictures with the teachers' opinions on their words, if there are teachers."""

    part: CaptionSet
    opinions: Opinions | None = None


@dataclass(frozen=True)
class WordLoss:
    """Cross-entropy with the true words and, with weight `taught`, with the teachers' opinion.

    `captions` captions of each picture are drawn for every epoch.
    """

    smoothing: float
    taught: float
    captions: int

    def __call__(self, network: CaptionNetwork, lesson: Lesson, rows: Tensor) -> Tensor:
        """The mean over the words of the pictures `rows` (n,), in nats."""
        part = lesson.part
        drawn = torch.rand(len(rows), part.tokens.shape[1]).topk(min(self.captions, part.tokens.shape[1])).indices
        inputs, targets, counted = shifted(part.tokens[rows[:, None], drawn].flatten(0, 1))
        device = network.device
        with mixed_precision(device.type):
            logits = network(part.views(rows).to(device), inputs.to(device), counted.to(device))
        loss = F.cross_entropy(logits, targets[counted].to(device), label_smoothing=self.smoothing)
        if lesson.opinions is None:
            return loss
        return loss.lerp(lesson.opinions.loss(logits, rows, drawn, counted), self.taught)


def cross_entropy_pass(
    network: CaptionNetwork, stepper: Stepper, lessons: Sequence[Lesson], batch: int, loss: WordLoss, label: str
) -> float:
    """One epoch of teacher forcing, every word from the true words before it; returns the mean loss in nats."""
    network.train()
    losses = []
    total = sum(-(-len(lesson.part.pictures) // batch) for lesson in lessons)
    of = {id(lesson.part): lesson for lesson in lessons}
    shared = batches([one.part for one in lessons], batch, stepper.processes)
    for part, rows in tqdm(shared, total=total, desc=label, unit="batch", disable=not stepper.processes.main):
        losses.append(stepper.step(loss(network, of[id(part)], rows)))
    return sum(losses) / len(losses)


class Reward:
    """CIDEr-D of sampled captions, with document frequencies from the references of the set."""

    def __init__(self, part: CaptionSet, vocabulary: Vocabulary) -> None:
        references = [[[*words_of(c), END_WORD] for c in picture.captions] for picture in part.pictures]
        self._vocabulary = vocabulary
        self._cider = CiderD(references)
        self._references: list[list[CiderVector]] = [[self._cider.vector(w) for w in one] for one in references]

    def __call__(self, rows: Tensor, samples: Tensor) -> Tensor:
        """Pictures (n,), their sampled tokens (n, samples, steps) -> rewards (n, samples)."""
        scores = [
            [self._cider.score(self._words(sample), self._references[row]) for sample in sampled]
            for row, sampled in zip(rows.tolist(), samples.tolist(), strict=True)
        ]
        return torch.tensor(scores)

    def _words(self, tokens: list[int]) -> list[str]:
        return [END_WORD if token == END else self._vocabulary.word(token) for token in tokens if token != PAD]


@torch.no_grad()
def sample(decoder: Decoder, memory: Memory, pictures: int, count: int, max_words: int) -> Tensor:
    """`count` captions of each picture, sampled word by word: (pictures, count, steps), padded after the end."""
    state = repeated(decoder.begin(memory), count)
    rows, device = pictures * count, memory[0].device
    words, open_rows = torch.full((rows,), START, device=device), torch.ones(rows, dtype=torch.bool, device=device)
    drawn = []
    for _ in range(max_words + 1):
        logits, _, state = decoder.step(words, memory, state)
        logits = _without_banned(logits)
        words = torch.where(open_rows, torch.multinomial(logits.softmax(-1), 1)[:, 0], PAD)
        drawn.append(words)
        open_rows = open_rows & (words != END)
        if not open_rows.any():
            break
    return torch.stack(drawn, 1).view(pictures, count, -1)


def self_critical_pass(
    network: CaptionNetwork, stepper: Stepper, part: CaptionSet, reward: Reward, batch: int, samples: int, label: str
) -> float:
    """One epoch of self-critical training of the decoder; returns the mean reward.

    A sample's baseline is the mean reward of its picture's other samples (Rennie et al., 2017; Luo, 2020, "A Better
    Variant of Self-Critical Sequence Training"). The end token belongs to candidates, references and document
    frequencies: without it in the reward, a model scores by stopping early (Hu et al., 2023). There is no dropout, in
    sampling or scoring, so that the gradient is that of the policy that sampled: with dropout in scoring, captions that
    were never likely are pushed down without end.
    """
    network.eval()
    seen = []
    total = -(-len(part.pictures) // batch)
    processes, device = stepper.processes, network.device
    shared = batches([part], batch, processes)
    bar = tqdm(shared, total=total, desc=label, unit="batch", disable=not processes.main)
    for _, rows in bar:
        with mixed_precision(device.type), torch.no_grad():
            grid = network.backbone.grid(part.views(rows).to(device))
            drawn = sample(
                network.decoder, network.decoder.remember(grid), len(rows), samples, part.tokens.shape[2] - 1
            )
        rewards = reward(rows, drawn)
        stepper.step(_policy_loss(network, grid, drawn, _advantage(rewards).to(device)))
        seen.append(processes.mean(rewards.mean()))
        bar.set_postfix(reward=f"{sum(seen) / len(seen):.3f}")
    return sum(seen) / len(seen)


def _advantage(rewards: Tensor) -> Tensor:
    """Each sample's reward minus the mean of its picture's other samples."""
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others


def _without_banned(logits: Tensor) -> Tensor:
    """Banned words get no probability, in sampling or scoring: otherwise the probability of bad captions would drift to
    words that are never sampled, until the rest is noise."""
    return logits.float().index_fill(-1, torch.tensor(Vocabulary.banned, device=logits.device), -torch.inf)


def _policy_loss(network: CaptionNetwork, grid: Tensor, drawn: Tensor, advantage: Tensor) -> Tensor:
    inputs, targets, counted = shifted(drawn.flatten(0, 1))
    decoder: Decoder = network.decoder
    with mixed_precision(grid.device.type):
        logits = _without_banned(decoder.teach(inputs, decoder.remember(grid), counted))
    log_probabilities = logits.log_softmax(-1).gather(1, targets[counted][:, None])[:, 0]
    weights = advantage.flatten()[:, None].expand(targets.shape)[counted]
    return -(weights * log_probabilities).mean()


def rise_and_fall(step: int, steps: int, rise: float) -> float:
    """Factor of the learning rate: a linear rise over the share `rise` of the steps, then a linear fall to 0."""
    top = rise * steps
    return (step + 1) / (top + 1) if step < top else (steps + 1 - step) / (steps + 1 - top)


def score_captioner(captioner: CaptionModel, part: CaptionSet, beams: int) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D of the best caption of each picture."""
    backbone = captioner.backbone
    assert isinstance(backbone, Backbone), "only these have features that can be cached"
    options = DecodingOptions(num_beams=beams)
    captions: list[str] = []
    for rows in tqdm(torch.split(torch.arange(len(part.pictures)), BATCH), desc="dev", unit="batch"):
        with mixed_precision(), torch.inference_mode():
            grid = backbone.grid(part.whole(rows)).float()
        captions += [found[0].text for found in captioner.caption_features(grid, options)]
    references = [[words_of(c) for c in picture.captions] for picture in part.pictures]
    scores = caption_scores([words_of(c) for c in captions], references)
    return {name: round(score, 4) for name, score in scores.items()}


class Best:
    """The weights with the highest CIDEr on the dev split so far, on disk."""

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
        assert saved is not None, "a run scores before it restores"
        for module in modules:
            module.load_state_dict(saved["module"])  # type: ignore[arg-type]
        return saved["scores"]  # type: ignore[return-value]


class Run:
    """One training run: data, network, log and the best weights so far."""

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
        self.taught_as = identity_of(config, [photos, drawn], REWARD_KEYS)
        self.rewarded_as = identity_of(config, [photos, drawn])
        views = (config.views, DRAWN_VIEWS)
        self.sets = [self._set(found, count, self.transform) for found, count in zip(train, views, strict=False)]
        self.dev = self._set(read_split(photos, "dev"), 1, self.served)
        backbone = starting_backbone(config.backbone, config.start or config.picture_from)
        decoder = config.decoder(self.vocabulary, backbone)
        if config.start:
            start_from(decoder, load_teacher(config.start, self.vocabulary))
        self.network = CaptionNetwork(backbone, decoder, config.picture_learning_rate > 0).to(processes.device)
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
        fit = self._fit("cross-entropy", self.taught_as, groups, one_cycle(steps), config.weight_decay)
        word_loss, lessons = WordLoss(config.label_smoothing, config.taught, config.captions), self._lessons()
        for epoch in range(fit.checkpoint.restore(), config.epochs):
            label = f"cross-entropy {epoch + 1}/{config.epochs}"
            loss = cross_entropy_pass(self.network, fit.stepper, lessons, config.batch, word_loss, label)
            self._finish(fit.average.module, fit, self.taught, "cross-entropy", epoch + 1, loss=loss)

    def _lessons(self) -> list[Lesson]:
        if not self.config.teacher:
            return [Lesson(part) for part in self.sets]
        teachers = [load_teacher(source.strip(), self.vocabulary) for source in self.config.teacher.split(",")]
        with self.processes.main_first():
            return [Lesson(part, ask_teachers(teachers, part, self.cache)) for part in self.sets]

    def self_critical(self) -> CaptionNetwork:
        """Trains the decoder alone, on photographs alone, from the best weights of cross-entropy.

        The rewarded weights overfit the training pictures, so a blend with those before is scored and kept.
        Returns the averaged weights of the last epoch.
        """
        config = self.config
        scores = self.taught.restore(self.network)
        if self.processes.main:
            self.best.offer(scores, self.network)
        start, blend = copy.deepcopy(self.network), copy.deepcopy(self.network).eval()
        self.network.backbone.requires_grad_(False)
        groups = parameter_groups((self.network.decoder, config.reward_learning_rate))
        steps = config.reward_epochs * -(-len(self.sets[0].pictures) // config.batch)

        def schedule(optimizer: Optimizer) -> LRScheduler:
            return LambdaLR(optimizer, lambda step: rise_and_fall(step, steps, config.reward_rise))

        fit = self._fit("reward", self.rewarded_as, groups, schedule, weight_decay=0.0)
        reward = Reward(self.sets[0], self.vocabulary)
        for epoch in range(fit.checkpoint.restore(), config.reward_epochs):
            label = f"self-critical {epoch + 1}/{config.reward_epochs}"
            mean = self_critical_pass(
                self.network, fit.stepper, self.sets[0], reward, config.batch, config.samples, label
            )
            blend_weights(blend, start, fit.average.module, config.blend)
            self._finish(blend, fit, self.best, "self-critical", epoch + 1, reward=mean)
        return fit.average.module

    def _fit(
        self, phase: str, identity: str, groups: Groups, schedule: Schedule, weight_decay: float
    ) -> Fit[CaptionNetwork]:
        return Fit(
            self.network,
            groups,
            schedule,
            self.work / f"{phase}.pt",
            identity,
            weight_decay=weight_decay,
            average=self.config.average,
            processes=self.processes,
        )

    def _finish(
        self,
        network: CaptionNetwork,
        fit: Fit[CaptionNetwork],
        best: Best,
        phase: str,
        epoch: int,
        **numbers: float,
    ) -> None:
        """Score the weights after an epoch; keep the best, and a checkpoint."""
        if self.processes.main:
            scores = self._scored(network)
            best.offer(scores, network)
            fit.checkpoint.save(epoch)
            self.log.write(phase=phase, epoch=epoch, **numbers, dev=scores)
        self.processes.wait()

    def _scored(self, network: CaptionNetwork) -> dict[str, float]:
        """On the CPU, where a captioner is served."""
        network = copy.deepcopy(network).cpu() if network.device.type != "cpu" else network
        captioner = CaptionModel(
            "", "", network.backbone, network.decoder, self.vocabulary, self.served, self.config.length_exponent
        )
        return score_captioner(captioner, self.dev, self.config.beams)

    def write(self, folder: Path) -> None:
        network = copy.deepcopy(self.network).cpu()
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
        card = captioner_card(network.decoder.architecture, asdict(self.config), scores)
        write_captioner(folder, config, network.decoder, network.backbone, self.vocabulary, card)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("captioner", __doc__)
    parser.add_argument("architecture", choices=sorted(ARCHITECTURES))
    add_folders(parser, "photos", "out", optional=["drawn"])
    parser.add_argument("--config", type=Path, help="settings (default: the architecture's own TOML file)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="folder for features")
    parser.add_argument("--work", type=Path, help="checkpoints and log (default .cache/ARCHITECTURE)")
    parser.add_argument("--device", default="", help="cpu, or one of several GPUs, such as cuda:1")
    options = parser.parse_args(argv)
    # Every batch has another number of words, and oneDNN caches a kernel for each: ten gigabytes after an hour.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    return exit_status(lambda: train(options))


def train(options: argparse.Namespace) -> None:
    kind, file = ARCHITECTURES[options.architecture]
    config = read_config(kind, options.config or file)
    work = options.work or Path(".cache") / options.architecture
    processes = launched(options.device)
    run = Run(config, options.photos, options.drawn, options.cache, work, processes)
    run.cross_entropy()
    run.self_critical()
    if processes.main:
        run.write(options.out)
    processes.end()


if __name__ == "__main__":
    sys.exit(main())
