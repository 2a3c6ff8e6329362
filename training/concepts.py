"""Teach a retrieval model what ImageNet's classifier knows, and the words of sentences that have no pictures.

    python -m training.concepts --photos DIR --drawn DIR --open DIR --model models/retrieval --out models/retrieval

The towers stay as they are served; what is trained lies over them: both heads, and a layer that names what is in a
picture (`Concepts`). The losses:

- InfoNCE on captioned pictures, as before;
- on pairs of sentences that describe one picture, so that words that no photograph here has are not forgotten;
- on names in two prompts, so that those that no picture here shows stay apart;
- the divergence of the classifier's probabilities from the similarity of picture and names, on pictures with and
  without captions (Hinton et al., 2015, "Distilling the Knowledge in a Neural Network").

The layer itself is a regression to what the classifier says.

Stopped at any moment it goes on from its last pass.
"""

import argparse
import copy
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.models.backbone import load_backbone
from imagetext.models.encoder.calibration import BACKGROUND
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.labels import Labels
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.encoder.minilm import Concepts, Head, load_minilm
from imagetext.models.folder import CONFIG
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.wire.errors import ImageTextError, InvalidParameter
from training.cards import concepts_card
from training.concept_data import PROMPTS, Captioned, ConceptsConfig, Data, Taught
from training.contrastive import LARGEST_SCALE, info_nce
from training.evaluation import retrieval_scores
from training.loop import Average, Checkpoint, Stateful, Stepper, parameter_groups, read_config
from training.run_log import RunLog

RIDGE = 100.0
FACTORS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)


class Classifying(Protocol):
    """Standardised features and a layer over them that names what they show."""

    mean: Tensor
    std: Tensor
    classifier: nn.Linear


class Network(nn.Module):
    """What is trained, and the temperature of the losses (Radford et al., 2021, 2.3)."""

    def __init__(self, picture: Head, text: Head, concepts: Concepts) -> None:
        super().__init__()
        self.picture, self.text, self.concepts = picture, text, concepts
        self.log_scale = nn.Parameter(torch.tensor(3.6))

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def names(self, states: Tensor) -> Tensor:
        """States of the names in some prompts (prompts, names, width) -> unit rows (names, dimensions)."""
        return F.normalize(self.text(states.flatten(0, 1)).view(*states.shape[:2], -1).sum(0), dim=-1)

    def pictures(self, pooled: Tensor, names: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features (n, channels) -> unit rows (n, dimensions), logits of the names (n, names)."""
        dropped = self.picture.dropout((pooled - self.concepts.mean) / self.concepts.std)
        logits = self.concepts.classifier(dropped)
        return self.concepts.joined(self.picture(pooled), logits, names), logits


class Run:
    """One training run: its network, log and checkpoints."""

    def __init__(self, encoder: DualEncoder, data: Data, config: ConceptsConfig, work: Path) -> None:
        torch.manual_seed(config.seed)
        self.data, self.config = data, config
        self.log = RunLog(work / "log.jsonl")
        picture, text = copy.deepcopy(encoder.picture_head), copy.deepcopy(encoder.text_head)
        picture.dropout.p, text.dropout.p = config.picture_dropout, config.text_dropout
        concepts = Concepts(picture.shape.inputs, len(data.names), picture.shape.dimensions)
        concepts.mean, concepts.std = picture.mean, picture.std
        start_classifier(concepts, [data.unlabelled, data.labelled])
        self.network = Network(picture, text, concepts).requires_grad_(True)
        concepts.sharpness.requires_grad_(False)
        concepts.classifier.requires_grad_(False)  # trained on these pictures it forgets what they do not show
        # Photographs of people and dogs need no names: learned on them, the weight would fall.
        concepts.weight.requires_grad_(False).fill_(config.concept_weight)
        self.identity = hashlib.sha256(json.dumps([asdict(config), encoder.fingerprint]).encode()).hexdigest()
        self.checkpoint_file = work / "concepts.pt"

    def train(self) -> Network:
        """Returns the averaged weights."""
        config, data = self.config, self.data
        average = Average(self.network, config.average)
        optimizer = AdamW(parameter_groups((self.network, config.learning_rate)), weight_decay=config.weight_decay)
        steps = config.epochs * sum(-(-part.rows_each_pass // config.batch) for part in data.sets)
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=0.15)
        stepper = Stepper(self.network, optimizer, schedule, average)
        parts: dict[str, Stateful] = {
            "network": self.network,
            "average": average,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        checkpoint = Checkpoint(self.checkpoint_file, self.identity, **parts)
        for epoch in range(checkpoint.restore(), config.epochs):
            self.network.train()
            losses = [
                stepper.step(self._loss(part, rows, number))
                for number, (part, rows) in enumerate(
                    tqdm(list(_batches(data.sets, config.batch)), desc=f"{epoch + 1}/{config.epochs}", leave=False)
                )
            ]
            checkpoint.save(epoch + 1)
            found = scores(average.module, data)
            self.log.write(phase="concepts", epoch=epoch + 1, loss=float(np.mean(losses)), **found)
        return average.module

    def _loss(self, part: Captioned, rows: Tensor, step: int) -> Tensor:
        config, data, network = self.config, self.data, self.network
        names = network.names(data.name_states[step % len(PROMPTS)][None])
        pooled, states = part.draw(rows, config.captions)
        without = torch.randint(len(data.unlabelled.pooled), (config.unlabelled,))
        more = [data.unlabelled.draw(without)]
        more.append(data.labelled.draw(torch.randint(len(data.labelled.pooled), (config.labelled,))))
        pictures, _ = network.pictures(torch.cat([pooled, *(each for each, _ in more)]), names)
        probabilities = torch.cat([each for _, each in more])
        own, taught = pictures[: len(rows)], pictures[len(rows) :]
        loss = info_nce(network.text(states).transpose(0, 1) @ own.T * network.scale)
        loss = loss + config.naming * _divergence(taught @ names.T * network.scale, probabilities)
        loss = loss + config.telling_apart * self._names_loss()
        if config.paraphrasing:
            loss = loss + config.paraphrasing * self._paraphrase_loss()
        return loss

    def _names_loss(self) -> Tensor:
        """Each name in one prompt is nearest to itself in another, and none falls together with the next."""
        first, second = torch.randperm(len(PROMPTS))[:2].tolist()
        states = self.data.name_states
        return info_nce(
            self.network.text(states[first])[None] @ self.network.text(states[second]).T * self.network.scale
        )

    def _paraphrase_loss(self) -> Tensor:
        groups = torch.randint(len(self.data.paraphrases), (self.config.paraphrases,))
        first, second = self.network.text(self.data.paraphrases[groups]).unbind(1)
        return info_nce(first[None] @ second.T * self.network.scale)


def _divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    return F.kl_div(logits.log_softmax(-1), probabilities, reduction="batchmean")


def _batches(sets: Sequence[Captioned], size: int) -> Iterator[tuple[Captioned, Tensor]]:
    """One pass in shuffled batches, each from one set."""
    whole = [
        (part, rows) for part in sets for rows in torch.split(torch.randperm(len(part))[: part.rows_each_pass], size)
    ]
    for number in torch.randperm(len(whole)).tolist():
        yield whole[number]


def start_classifier(concepts: Classifying, taught: Sequence[Taught]) -> None:
    """Ridge regression from the served features to the centred log probabilities of the packaged classifier."""
    features = torch.cat([each.pooled.flatten(0, 1) for each in taught])
    probabilities = [each.probabilities[:, None].expand(-1, each.pooled.shape[1], -1).flatten(0, 1) for each in taught]
    targets = torch.cat(probabilities).clamp(min=1e-7).log()
    targets = targets - targets.mean(1, keepdim=True)
    inputs = F.pad((features - concepts.mean) / concepts.std, (0, 1), value=1.0)
    square = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1])
    solved = torch.linalg.solve(square, inputs.T @ targets)
    # Regression gives all classes much the same probability: what it is to be multiplied by is looked for.
    taught_probabilities = targets.softmax(-1)
    factor = min(FACTORS, key=lambda each: float(_divergence(each * (inputs @ solved), taught_probabilities)))
    concepts.classifier.weight.data.copy_(factor * solved[:-1].T)
    concepts.classifier.bias.data.copy_(factor * solved[-1])


@torch.no_grad()
def scores(network: Network, data: Data) -> dict[str, dict[str, float]]:
    """Recall on each dev split; of drawn scenes each has one full sentence, its first. Things are scored apart for
    the half of the classes that nothing is fitted on."""
    names = network.names(data.name_states)
    found: dict[str, dict[str, float]] = {}
    for split, part in data.dev.items():
        pictures, _ = network.pictures(part.pooled[:, 0], names)
        captions = 1 if split == "drawn" else part.states.shape[1]
        texts = network.text(part.states[:, :captions].flatten(0, 1))
        owner = [row for row in range(len(part)) for _ in range(captions)]
        found[split] = retrieval_scores(texts.numpy(), pictures.numpy(), owner)
    pictures, logits = network.pictures(data.things, names)
    queries = network.text(data.name_states[0][data.thing_numbers])
    similarity = queries @ pictures.T
    rank = (similarity > similarity.diagonal()[:, None]).sum(1)
    right = logits.argmax(1) == data.thing_numbers
    zero_shot = (pictures @ network.text(data.name_states[0]).T).argmax(1) == data.thing_numbers
    for name, rows in (("things", ~data.kept_out), ("things kept out", data.kept_out)):
        found[name] = {
            **{f"text_to_picture_r{k}": _percent(rank[rows] < k) for k in (1, 10)},
            "top1": _percent(right[rows]),
            "zero_shot_top1": _percent(zero_shot[rows]),
        }
    return found


def _percent(right: Tensor) -> float:
    return round(100 * float(right.float().mean()), 1)


@torch.no_grad()
def fit_sharpness(network: Network, data: Data) -> float:
    """What the logits are multiplied by, so that probabilities are right on the first half of the dev set of things:
    temperature scaling (Guo et al., 2017, "On Calibration of Modern Neural Networks")."""
    rows = ~data.kept_out
    _, logits = network.pictures(data.things[rows], network.names(data.name_states))
    values = torch.linspace(0.5, 2.0, 151)
    losses = [float(F.cross_entropy(logits * value, data.thing_numbers[rows])) for value in values]
    return round(float(values[int(np.argmin(losses))]), 3)


def write(
    source: Path, folder: Path, encoder: DualEncoder, network: Network, data: Data, config: ConceptsConfig
) -> None:
    network = copy.deepcopy(network).eval()
    concepts = network.concepts
    with torch.no_grad():
        concepts.vectors.copy_(network.names(data.name_states))
        concepts.sharpness.fill_(fit_sharpness(network, data))
    labels = Labels(tuple(data.names), round(float(network.scale.detach()), 2))
    folder.mkdir(parents=True, exist_ok=True)
    settings = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"labels": labels.save(folder)}
    tensors = (
        changed_tensors("picture_head", network.picture)
        | changed_tensors("text_head", network.text)
        | changed_tensors("concepts", concepts)
        | changed_tensors("backbone", encoder.backbone, load_backbone(settings["backbone"]).state_dict())
        | changed_tensors("bert", encoder.text_tower.bert, load_minilm()[0].state_dict())
    )
    card = concepts_card(settings["name"], asdict(config), scores(network, data), settings["picture_head"])
    if (source / BACKGROUND).exists() and source != folder:
        shutil.copy(source / BACKGROUND, folder / BACKGROUND)
    write_model_folder(folder, settings, tensors, card)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.concepts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, required=True, help="drawn scenes in the same layout")
    parser.add_argument("--open", type=Path, required=True, help="pictures and sentences from beyond it")
    parser.add_argument("--model", type=Path, default=Path("models/retrieval"), help="a quantised retrieval model")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("concepts.toml"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="where features are kept")
    parser.add_argument("--work", type=Path, default=Path(".cache/concepts"), help="checkpoints and the log")
    options = parser.parse_args(argv)
    try:
        config = read_config(ConceptsConfig, options.config)
        encoder = load_in_torch(options.model)
        if not isinstance(encoder, DualEncoder):
            raise InvalidParameter(f"{options.model} is no dual encoder.")
        data = Data(encoder, config, options.photos, options.drawn, options.open, options.cache)
        run = Run(encoder, data, config, options.work)
        network = run.train()
        write(options.model, options.out, encoder, network, data, config)
        found: Mapping[str, Mapping[str, float]] = scores(network, data)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
