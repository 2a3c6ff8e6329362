"""Teach a retrieval model what ImageNet's classifier knows, and the words of captions that have no pictures.

    python -m training.concepts --photos DIR --drawn DIR --open DIR --model models/retrieval --out models/retrieval

The towers stay as they are served; both heads over them are trained, and a layer that names what is in a picture
(`Concepts`), which starts as a regression to the classifier. The losses:

- InfoNCE on captioned pictures, as before;
- InfoNCE on pairs of captions of one picture, so that words that no photograph here shows are not forgotten;
- InfoNCE on names in two prompts, so that names that no picture here shows stay apart;
- the divergence of the similarities of pictures and names from the classifier's probabilities, on pictures with and
  without captions (Hinton et al., 2015, "Distilling the Knowledge in a Neural Network").

An interrupted run continues after its last finished epoch.
"""

import copy
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.encoder.calibration import BACKGROUND, Labels
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.load import load_in_torch
from imagetext.models.encoder.minilm import Concepts, Head
from imagetext.models.folder import CONFIG
from imagetext.wire.captions import LABEL_PROMPT
from imagetext.wire.errors import InvalidParameter
from training.captions import sided
from training.cards import concepts_card
from training.command import add_folders, add_run, command_parser, exit_status, write_encoder
from training.contrastive import LARGEST_SCALE, info_nce
from training.dataset import CaptionedPicture, read_split
from training.loop import Fit, identity_of, one_cycle, parameter_groups, read_config
from training.open_world import class_names, read_coco_dev, read_paraphrases, read_things, read_unlabelled
from training.pairs import pair_batches
from training.ranking import retrieval_scores
from training.run_log import RunLog
from training.served_features import classifier_log_probabilities, picture_features, text_states

PROMPTS = (LABEL_PROMPT, "{}", "a {} in a picture", "there is a {} here")  # each step uses the next one
SENTENCES = 2  # captions used of each Flickr30k picture
RIDGE = 100.0
FACTORS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class ConceptsConfig:
    """The keys of concepts.toml, which explains them."""

    seed: int = 1
    views: int = 4
    taught_views: int = 2
    drawn_share: float = 0.1
    epochs: int = 16
    batch: int = 1000
    captions: int = 2
    unlabelled: int = 500
    labelled: int = 250
    described: int = 10000
    paraphrases: int = 1000
    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    average: float = 0.95
    picture_dropout: float = 0.3
    text_dropout: float = 0.1
    concept_weight: float = 1.5
    naming: float = 0.3
    telling_apart: float = 1.0
    paraphrasing: float = 0.3


@dataclass(frozen=True)
class Captioned:
    """Pictures with captions: `pooled` (n, views, channels), `states` (n, captions, width); `sided` (n, captions): the
    caption says left or right, so no mirrored view fits."""

    pooled: Tensor
    states: Tensor
    sided: Tensor
    share: float = 1.0  # of the pictures, drawn anew for each pass

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def rows_each_pass(self) -> int:
        return round(len(self) * self.share)

    def draw(self, rows: Tensor, captions: int) -> tuple[Tensor, Tensor]:
        """Of each picture a random view (n, channels) and `captions` different captions (n, captions, width)."""
        views = torch.randint(self.pooled.shape[1], rows.shape)
        chosen = torch.rand(len(rows), self.states.shape[1]).topk(captions).indices
        untrue = (views % 2 == 1) & self.sided[rows].gather(1, chosen).any(1)
        return self.pooled[rows, torch.where(untrue, 0, views)], self.states[rows[:, None], chosen]


@dataclass(frozen=True)
class Taught:
    """Pictures with the classifier's opinion: `pooled` (n, views, channels), `probabilities` (n, names)."""

    pooled: Tensor
    probabilities: Tensor

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        views = torch.randint(self.pooled.shape[1], rows.shape)
        return self.pooled[rows, views], self.probabilities[rows]


class Data:
    """Everything to train and score on, as features of the served towers."""

    def __init__(
        self, encoder: DualEncoder, config: ConceptsConfig, photos: Path, drawn: Path, open_world: Path, cache: Path
    ) -> None:
        def pooled(pictures: Sequence[CaptionedPicture], views: int) -> Tensor:
            return _tensor(picture_features(encoder, pictures, views, cache))

        def states(texts: Sequence[str]) -> Tensor:
            return _tensor(text_states(encoder, texts, cache))

        def captioned(pictures: Sequence[CaptionedPicture], views: int, share: float = 1.0) -> Captioned:
            captions = [caption for picture in pictures for caption in picture.captions]
            each = len(pictures[0].captions)
            return Captioned(
                pooled(pictures, views),
                states(captions).view(len(pictures), each, -1),
                sided(captions).view(len(pictures), each),
                share,
            )

        def taught(pictures: Sequence[CaptionedPicture], features: Tensor) -> Taught:
            return Taught(
                features[:, : config.taught_views], _tensor(classifier_log_probabilities(pictures, cache))[:, 0].exp()
            )

        self.names = class_names(open_world)
        self.name_states = states([prompt.format(name) for prompt in PROMPTS for name in self.names])
        self.name_states = self.name_states.view(len(PROMPTS), len(self.names), -1)
        train = read_split(photos, "train")
        self.sets = [captioned(train, config.views), captioned(read_split(drawn, "train"), 1, config.drawn_share)]
        without = read_unlabelled(open_world)
        self.unlabelled = taught(without, pooled(without, config.taught_views))
        self.labelled = taught(train, self.sets[0].pooled)
        groups = [group[:SENTENCES] for group in read_paraphrases(open_world)[: config.described]]
        self.paraphrases = states([text for group in groups for text in group]).view(len(groups), SENTENCES, -1)
        self.dev = {
            "photos": captioned(read_split(photos, "dev"), 1),
            "coco": captioned(read_coco_dev(open_world), 1),
            "drawn": captioned(read_split(drawn, "dev"), 1),
        }
        things = read_things(open_world)
        self.things, self.thing_numbers = pooled(things.pictures, 1)[:, 0], torch.tensor(things.numbers)
        self.kept_out = torch.tensor(things.kept_out())


def _tensor(rows: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(rows, dtype=np.float32))


class Classifying(Protocol):
    """A classifier over standardised features."""

    mean: Tensor
    std: Tensor
    classifier: nn.Linear


class Network(nn.Module):
    """The trained heads, and the temperature of the losses (Radford et al., 2021, 2.3)."""

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


def start_classifier(concepts: Classifying, taught: Sequence[Taught]) -> None:
    """Ridge regression from the served features to the centred log probabilities of the packaged classifier."""
    features = torch.cat([each.pooled.flatten(0, 1) for each in taught])
    probabilities = [each.probabilities[:, None].expand(-1, each.pooled.shape[1], -1).flatten(0, 1) for each in taught]
    targets = torch.cat(probabilities).clamp(min=1e-7).log()
    targets = targets - targets.mean(1, keepdim=True)
    inputs = F.pad((features - concepts.mean) / concepts.std, (0, 1), value=1.0)
    square = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1])
    solved = torch.linalg.solve(square, inputs.T @ targets)
    # A regression gives all classes similar probabilities, so a factor for its logits is searched.
    taught_probabilities = targets.softmax(-1)
    factor = min(FACTORS, key=lambda each: float(_divergence(each * (inputs @ solved), taught_probabilities)))
    concepts.classifier.weight.data.copy_(factor * solved[:-1].T)
    concepts.classifier.bias.data.copy_(factor * solved[-1])


def _divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    return F.kl_div(logits.log_softmax(-1), probabilities, reduction="batchmean")


class Run:
    """One training run: network, log and checkpoints."""

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
        concepts.classifier.requires_grad_(False)  # trained on these pictures, it forgets what they do not show
        # Photographs of people and dogs need no names: a weight learned on them would fall.
        concepts.weight.requires_grad_(False).fill_(config.concept_weight)
        self.identity = identity_of(config, [encoder.fingerprint])
        self.checkpoint_file = work / "concepts.pt"

    def train(self) -> Network:
        """Returns the averaged weights."""
        config, data = self.config, self.data
        steps = config.epochs * sum(-(-part.rows_each_pass // config.batch) for part in data.sets)
        fit = Fit(
            self.network,
            parameter_groups((self.network, config.learning_rate)),
            one_cycle(steps),
            self.checkpoint_file,
            self.identity,
            weight_decay=config.weight_decay,
            average=config.average,
        )
        for epoch in range(fit.checkpoint.restore(), config.epochs):
            self.network.train()
            losses = [
                fit.stepper.step(self._loss(part, rows, number))
                for number, (part, rows) in enumerate(
                    tqdm(list(pair_batches(data.sets, config.batch)), desc=f"{epoch + 1}/{config.epochs}", leave=False)
                )
            ]
            fit.checkpoint.save(epoch + 1)
            found = scores(fit.average.module, data)
            self.log.write(phase="concepts", epoch=epoch + 1, loss=float(np.mean(losses)), **found)
        return fit.average.module

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
        """Each name in one prompt is nearest to itself in another, and different names stay apart."""
        first, second = torch.randperm(len(PROMPTS))[:2].tolist()
        states = self.data.name_states
        return info_nce(
            self.network.text(states[first])[None] @ self.network.text(states[second]).T * self.network.scale
        )

    def _paraphrase_loss(self) -> Tensor:
        groups = torch.randint(len(self.data.paraphrases), (self.config.paraphrases,))
        first, second = self.network.text(self.data.paraphrases[groups]).unbind(1)
        return info_nce(first[None] @ second.T * self.network.scale)


@torch.no_grad()
def scores(network: Network, data: Data) -> dict[str, dict[str, float]]:
    """Recall on each dev split; of a drawn scene only the first caption counts. Things of the half of the classes that
    nothing is fitted on are scored separately."""
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
    """The factor of the logits that calibrates probabilities on the first half of the dev set of things: temperature
    scaling (Guo et al., 2017, "On Calibration of Modern Neural Networks")."""
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
    card = concepts_card(settings["name"], asdict(config), scores(network, data), settings["picture_head"])
    if (source / BACKGROUND).exists() and source != folder:
        shutil.copy(source / BACKGROUND, folder / BACKGROUND)
    trained = {"picture_head": network.picture, "text_head": network.text, "concepts": concepts}
    write_encoder(folder, settings, trained, encoder.backbone, encoder.text_tower.bert, card)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("concepts", __doc__)
    add_folders(parser, "photos", "drawn", "open", "out")
    parser.add_argument("--model", type=Path, default=Path("models/retrieval"), help="an int8 retrieval model")
    add_run(parser, Path(__file__).with_name("concepts.toml"), ".cache/concepts")
    options = parser.parse_args(argv)

    def train() -> None:
        config = read_config(ConceptsConfig, options.config)
        encoder = load_in_torch(options.model)
        if not isinstance(encoder, DualEncoder):
            raise InvalidParameter(f"{options.model} is not a dual encoder.")
        data = Data(encoder, config, options.photos, options.drawn, options.open, options.cache)
        network = Run(encoder, data, config, options.work).train()
        write(options.model, options.out, encoder, network, data, config)
        sys.stdout.write(json.dumps(scores(network, data), indent=2) + "\n")

    return exit_status(train)


if __name__ == "__main__":
    sys.exit(main())
