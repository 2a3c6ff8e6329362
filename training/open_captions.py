"""Teach a served captioner about things that no captioned photograph shows.

    python -m training.open_captions --photos DIR --drawn DIR --open DIR --model MODEL --out models/caption-gru

The picture network stays as it is served. The decoder gets more words and, beside the picture's grid, the names that a
classifier recognises (`imagetext.models.captioner.concepts`). It learns from all of these at once:

- photographs with captions, where the captioner's earlier self is a teacher, so that nothing is forgotten;
- drawn scenes;
- pictures without captions, with pseudo-captions that a retrieval model finds for them (`training.open_caption_data`);
- captions without pictures, whose content stands in for what the classifier would recognise (ViECap: Fei et al., 2023,
  "Transferable Decoding with Visual Entities for Zero-Shot Image Captioning");
- such captions again, beside the grid of another picture, so that names are trusted even then.

An interrupted run continues after its last finished epoch.
"""

import argparse
import copy
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from imagetext.models.captioner.concepts import Concepts
from imagetext.models.captioner.decoder import Memory
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.gru import AttentionDecoder
from imagetext.models.captioner.model import CaptionModel, load_in_torch
from imagetext.models.captioner.vit_bert import VitBert
from imagetext.models.captioner.vocabulary import SPECIAL, UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.load import load_in_torch as load_encoder
from imagetext.models.encoder.minilm import load_minilm, text_states
from imagetext.models.folder import CARD, CONFIG
from imagetext.wire.errors import InvalidParameter
from training.captions import shifted
from training.cards import open_captions_card
from training.command import add_folders, add_run, command_parser, exit_status, write_captioner
from training.concepts import Taught, start_classifier
from training.loop import Fit, identity_of, one_cycle, read_config
from training.metrics import caption_scores
from training.open_caption_data import CaptionData, Imagined, Part, Pictures
from training.run_log import RunLog

OPTIONS = DecodingOptions(num_beams=3)
BATCH = 50
WORDS_PER_NAME = 3  # that a caption may use for it
WORD_SCALE = 20.0  # of the similarities that tell how well a word fits a name
RIDGE = 0.3  # of the map from MiniLM's embeddings to the captioner's
CHUNK = 500  # pictures
Growing = AttentionDecoder | VitBert
Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class OpenCaptionsConfig:
    """The keys of open_captions.toml, which explains them."""

    seed: int = 1
    min_count: int = 30
    epochs: int = 3
    steps: int = 187
    photographs: int = 32
    unlabelled: int = 24
    drawn: int = 3
    sentences: int = 24
    named: int = 24
    borrowed: int = 12
    captions: int = 2
    learning_rate: float = 1.5e-4
    concepts_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    dropout: float = 0.15
    feature_dropout: float = 0.3
    average: float = 0.995
    taught: float = 0.6
    noise: float = 1.0
    unlabelled_weight: float = 0.7
    drawn_weight: float = 0.3
    sentence_weight: float = 0.4
    borrowed_weight: float = 0.2
    boldness: float = 2.5
    kept: float = 0.2


def extended(vocabulary: Vocabulary, texts: Sequence[str], min_count: int) -> Vocabulary:
    """The same words, then those that occur in the texts at least `min_count` times."""
    more = [word for word in Vocabulary.of(texts, min_count).words if word not in set(vocabulary.words)]
    return Vocabulary([*vocabulary.words, *more])


def grown(
    captioner: CaptionModel, vocabulary: Vocabulary, data: CaptionData, feature_dropout: float, dropout: float
) -> Growing:
    """The captioner's decoder with more words and with concepts.

    Raises:
        InvalidParameter: it is not a compact captioner.
    """
    old = captioner.decoder
    if not isinstance(old, AttentionDecoder | VitBert):
        raise InvalidParameter(f"{captioner.name} is not a compact captioner.")
    table, sayable = word_table(data, vocabulary)
    sizes = {"vocabulary": len(vocabulary), "names": len(data.names), "sayable": len(sayable)}
    new: Growing = (
        AttentionDecoder(replace(old.shape, **sizes), feature_dropout, dropout)
        if isinstance(old, AttentionDecoder)
        else VitBert(replace(old.shape, **sizes), feature_dropout, dropout)
    )
    _copy_weights(new, old, vocabulary)
    concepts = new.concepts
    assert concepts is not None, "its shape has names"
    concepts.vectors.copy_(_states(data.names))
    concepts.words.copy_(table)
    for place, word in enumerate(sayable):
        concepts.column[vocabulary.encode(word)[0]] = place
    start_concepts(concepts, data)
    return new


@torch.no_grad()
def _copy_weights(new: Growing, old: Growing, vocabulary: Vocabulary) -> None:
    """Embeddings of new words are mapped from MiniLM's, by a map fitted to the known words."""
    minilm, tokenizer = load_minilm()
    embeddings = minilm.embeddings.word_embeddings.weight
    pieces = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)) for word in vocabulary.words]
    meant = F.pad(torch.stack([embeddings[row].mean(0) for row in pieces]), (0, 1), value=1.0)
    known = old.words - len(SPECIAL)
    square = meant[:known].T @ meant[:known] + RIDGE * torch.eye(meant.shape[1])
    state = new.state_dict()
    for name, tensor in old.state_dict().items():
        target = state[name]
        target[: len(tensor)].copy_(tensor)
        if target.shape == tensor.shape:
            continue
        if tensor.dim() == 1:  # biases: new words start as rare as the rarest known ones
            target[len(tensor) :] = tensor[len(SPECIAL) :].kthvalue(len(tensor) // 10).values
        else:
            fitted = torch.linalg.solve(square, meant[:known].T @ tensor[len(SPECIAL) :])
            target[len(tensor) :].copy_(meant[known:] @ fitted)
    new.load_state_dict(state)


@torch.inference_mode()
def _states(names: Sequence[str]) -> Tensor:
    """MiniLM's unit rows (names, width)."""
    minilm, tokenizer = load_minilm()
    tokens = tokenizer(list(names), padding=True, return_tensors="pt")["input_ids"]
    return F.normalize(text_states(minilm, tokens), dim=-1)


def word_table(data: CaptionData, vocabulary: Vocabulary) -> tuple[Tensor, list[str]]:
    """The words that a caption may use for each name, (names, words) with rows that sum to 1; and those words."""
    known = [word for word in data.word_vectors if vocabulary.encode(word) != [UNKNOWN]]
    column = {word: place for place, word in enumerate(known)}
    vectors = torch.stack([data.word_vectors[word] for word in known])
    table = torch.zeros(len(data.names), len(known))
    for number, name in enumerate(data.names):
        fit = {column[word] for word in [*data.kind_words[number], words_of(name)[-1]] if word in column}
        places = torch.tensor(sorted(fit) or list(range(len(known))))
        likely = (WORD_SCALE * (vectors[places] @ data.name_vectors[number])).softmax(-1)
        best = likely.topk(min(WORDS_PER_NAME, len(places)))
        table[number, places[best.indices]] = best.values / best.values.sum()
    used = (table.sum(0) > 0).nonzero()[:, 0].tolist()
    return table[:, used], [known[place] for place in used]


def start_concepts(concepts: Concepts, data: CaptionData) -> None:
    """A regression to the packaged classifier, as in `training.concepts`."""
    taught = [Taught(_pooled(grids), log_probabilities.exp()) for grids, log_probabilities in data.classified]
    features = torch.cat([each.pooled.flatten(0, 1) for each in taught])
    concepts.mean.copy_(features.mean(0))
    concepts.std.copy_(features.std(0) + 1e-3)
    start_classifier(concepts, taught)
    concepts.classifier.requires_grad_(False)  # trained on these pictures, it forgets what they do not show


def _pooled(grids: NDArray[np.float16]) -> Tensor:
    """Features of whole pictures and their mirror images, (n, 2, channels)."""
    parts = [np.asarray(grids[start : start + CHUNK, :2], dtype=np.float32) for start in range(0, len(grids), CHUNK)]
    return torch.cat([torch.from_numpy(part).mean(2) for part in parts])


class Run:
    """One training run: networks, log and checkpoints."""

    def __init__(self, captioner: CaptionModel, data: CaptionData, config: OpenCaptionsConfig, work: Path) -> None:
        torch.manual_seed(config.seed)
        assert isinstance(captioner.vocabulary, Vocabulary)
        self.captioner, self.data, self.config, self.work = captioner, data, config, work
        self.log = RunLog(work / "log.jsonl")
        self.vocabulary = extended(captioner.vocabulary, data.sentences.texts, config.min_count)
        self.decoder = grown(captioner, self.vocabulary, data, config.feature_dropout, config.dropout)
        self.before = copy.deepcopy(captioner.decoder).eval().requires_grad_(False)
        self.parts = [
            Part(data.photographs, self.vocabulary, config.photographs, 1.0),
            Part(data.without, self.vocabulary, config.unlabelled, config.unlabelled_weight),
            Part(data.scenes, self.vocabulary, config.drawn, config.drawn_weight),
        ]
        self.imagined = Imagined(data, self.vocabulary, config.noise)
        self.identity = identity_of(config, [captioner.fingerprint])

    def train(self) -> Growing:
        """Returns the averaged weights, blended with those before and made to copy more readily."""
        config, decoder = self.config, self.decoder
        others = [tensor for name, tensor in decoder.named_parameters() if not name.startswith("concepts.")]
        new = [tensor for name, tensor in decoder.named_parameters() if name.startswith("concepts.")]
        groups = [
            {"params": [tensor for tensor in new if tensor.requires_grad], "lr": config.concepts_rate},
            {"params": others, "lr": config.learning_rate},
        ]
        fit = Fit(
            decoder,
            groups,
            one_cycle(config.epochs * config.steps, rise=0.1),
            self.work / "open-captions.pt",
            self.identity,
            weight_decay=config.weight_decay,
            average=config.average,
        )
        for epoch in range(fit.checkpoint.restore(), config.epochs):
            decoder.train()
            steps = tqdm(range(config.steps), desc=f"{epoch + 1}/{config.epochs}", unit="step", leave=False)
            losses = [fit.stepper.step(self._loss()) for _ in steps]
            fit.checkpoint.save(epoch + 1)
            found = scores(self.captioner, self._finished(fit.average.module), self.vocabulary, self.data)
            self.log.write(phase="open-captions", epoch=epoch + 1, loss=float(np.mean(losses)), **found)
        return self._finished(fit.average.module)

    def _finished(self, decoder: Growing) -> Growing:
        return bolder(blended(self.before, decoder, self.config.kept), self.config.boldness)

    def _loss(self) -> Tensor:
        config, decoder = self.config, self.decoder
        drawn = [part.draw(config.captions) for part in self.parts]
        memory = decoder.remember(torch.cat([grids for grids, _ in drawn]))
        logits, targets, owner = self._taught(memory, torch.cat([tokens for _, tokens in drawn]))
        loss, first = torch.zeros(()), 0
        for part, (grids, tokens) in zip(self.parts, drawn, strict=True):
            rows = (owner >= first) & (owner < first + len(grids))
            own = self._of_words(logits[rows], targets[rows])
            if part is self.parts[0]:
                own = own.lerp(self._as_before(logits[rows], grids, tokens), config.taught)
            loss, first = loss + part.weight * own, first + len(grids)
        named, tokens = self.imagined.draw(config.named, config.sentences)
        borrowed = config.borrowed
        lent = self.data.without.draw(torch.randint(len(self.data.without), (borrowed,)))
        for weight, memory, spoken in (
            (config.sentence_weight, decoder.imagine(named[borrowed:]), tokens[borrowed:]),
            (config.borrowed_weight, decoder.remember(lent, named[:borrowed]), tokens[:borrowed]),
        ):
            logits, targets, _ = self._taught(memory, spoken)
            loss = loss + weight * self._of_words(logits, targets)
        return loss

    def _of_words(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)

    def _taught(self, memory: Memory, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (pictures, captions, steps) -> logits of the counted words, the true words, their pictures' rows."""
        inputs, targets, counted = shifted(tokens.flatten(0, 1))
        owner = torch.arange(len(tokens)).repeat_interleave(tokens.shape[1])[:, None].expand(targets.shape)
        return self.decoder.teach(inputs, memory, counted), targets[counted], owner[counted]

    def _as_before(self, logits: Tensor, grids: Tensor, tokens: Tensor) -> Tensor:
        """The cross-entropy with the captioner's earlier self as the teacher."""
        inputs, _, counted = shifted(tokens.flatten(0, 1))
        known = self.before.words
        with torch.no_grad():
            inputs = torch.where(inputs < known, inputs, UNKNOWN)
            earlier = self.before.teach(inputs, self.before.remember(grids), counted)
            earlier[:, UNKNOWN] = -torch.inf
            likely = earlier.softmax(-1)
        return -(likely * logits.log_softmax(-1)[:, :known]).sum(1).mean()


@torch.no_grad()
def blended(before: nn.Module, after: Growing, kept: float) -> Growing:
    """Between two states of a decoder (Wortsman et al., 2022, "WiSE-FT"), with weight `kept` for the first; what only
    the second has is left alone."""
    found = copy.deepcopy(after)
    # Copies, because embeddings have two names in the state and would be blended twice.
    state = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    for name, tensor in before.state_dict().items():
        state[name][: len(tensor)].lerp_(tensor, kept)
    found.load_state_dict(state)
    return found


@torch.no_grad()
def bolder(decoder: Growing, boldness: float) -> Growing:
    """With a copy gate that opens more readily: captioned pictures rarely show what needs to be copied."""
    copied = copy.deepcopy(decoder)
    assert copied.concepts is not None
    copied.concepts.gate.bias.add_(boldness)
    return copied


def with_decoder(captioner: CaptionModel, decoder: Growing, vocabulary: Vocabulary) -> CaptionModel:
    backbone, transform = captioner.backbone, captioner.transform
    return CaptionModel("", "", backbone, copy.deepcopy(decoder), vocabulary, transform, captioner.length_exponent)


def captions_of(captioner: CaptionModel, pictures: Pictures) -> list[str]:
    captions: list[str] = []
    for start in range(0, len(pictures), BATCH):
        grids = torch.from_numpy(np.asarray(pictures.grids[start : start + BATCH, 0], dtype=np.float32))
        captions += [found[0].text for found in captioner.caption_features(grids, OPTIONS)]
    return captions


def scores(captioner: CaptionModel, decoder: Growing, vocabulary: Vocabulary, data: CaptionData) -> Scores:
    """BLEU-4 and CIDEr-D on photographs and COCO; for things, the share of captions that name the thing or its kind,
    and the share that mention people or dogs where there are none."""
    served = with_decoder(captioner, decoder, vocabulary)
    found: Scores = {}
    for name in ("photos", "coco"):
        part = data.dev[name]
        captions = [words_of(caption) for caption in captions_of(served, part)]
        measured = caption_scores(captions, [[words_of(caption) for caption in own] for own in part.captions])
        found[name] = {key: round(measured[key], 4) for key in ("bleu4", "cider")}
    pairs = list(zip(captions_of(served, data.dev["things"]), data.thing_numbers, strict=True))
    named = np.array([data.naming.named(*pair) for pair in pairs])
    mistaken = [data.naming.mistaken(*pair) for pair in pairs if pair[1] not in data.naming.of_dogs]
    found["things"] = {
        "named": round(float(named.mean()), 3),
        "named, second half": round(float(named[data.kept_out.numpy()].mean()), 3),
        "people or dogs": round(float(np.mean(mistaken)), 3),
    }
    return found


def write(
    source: Path, folder: Path, captioner: CaptionModel, decoder: Growing, run: Run, config: OpenCaptionsConfig
) -> None:
    settings = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"decoder": asdict(decoder.shape)}
    settings.pop("confidence", None)  # belongs to another decoder
    found = scores(captioner, decoder, run.vocabulary, run.data)
    card = open_captions_card((source / CARD).read_text(encoding="utf-8"), asdict(config), found)
    write_captioner(folder, settings, decoder, captioner.backbone, run.vocabulary, card)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser("open_captions", __doc__)
    add_folders(parser, "photos", "drawn", "open", "out")
    parser.add_argument("--model", type=Path, required=True, help="an int8 captioner")
    parser.add_argument("--retrieval", type=Path, default=Path("models/retrieval"), help="a retrieval model with names")
    add_run(parser, Path(__file__).with_name("open_captions.toml"), None, shown=".cache/open-NAME")
    options = parser.parse_args(argv)
    # Every batch has another number of words, and oneDNN caches a kernel for each: ten gigabytes after an hour.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    return exit_status(lambda: train(options))


def train(options: argparse.Namespace) -> None:
    config = read_config(OpenCaptionsConfig, options.config)
    captioner, encoder = load_in_torch(options.model), load_encoder(options.retrieval)
    if not isinstance(encoder, DualEncoder) or encoder.concepts is None:
        raise InvalidParameter(f"{options.retrieval} is not a retrieval model with names.")
    if getattr(captioner.decoder, "concepts", None) is not None:
        raise InvalidParameter(f"{options.model} already has names: give the model that it was made from.")
    data = CaptionData(captioner, encoder, options.photos, options.drawn, options.open, options.cache)
    run = Run(captioner, data, config, options.work or Path(".cache") / f"open-{captioner.name}")
    write(options.model, options.out, captioner, run.train(), run, config)
    sys.stdout.write((options.out / CARD).read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
