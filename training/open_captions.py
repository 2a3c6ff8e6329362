"""Teach a served captioner to speak of what no captioned photograph showed.

    python -m training.open_captions --photos DIR --drawn DIR --open DIR --model MODEL --out models/caption-gru

The picture network stays as it is served. The decoder gets more words and, beside the picture's grid, what a classifier
recognises (`imagetext.models.captioner.concepts`). It learns from these at once:

- photographs with captions, where its earlier self is heard as well, so that nothing is forgotten;
- drawn scenes;
- pictures without captions, with sentences that a retrieval model finds for them (`training.sentences`);
- sentences without pictures: what they say stands in for what the classifier would recognise (ViECap: Fei et al., 2023,
  "Transferable Decoding with Visual Entities for Zero-Shot Image Captioning");
- such sentences again, beside the grid of some other picture: names are to be believed even so.

Stopped at any moment it goes on from its last pass.
"""

import argparse
import copy
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from imagetext.models.backbone import load_backbone
from imagetext.models.captioner.decoder import Memory
from imagetext.models.captioner.engine import DecodingOptions
from imagetext.models.captioner.model import CaptionModel, load_in_torch
from imagetext.models.captioner.vocabulary import UNKNOWN, Vocabulary, words_of
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.load import load_in_torch as load_encoder
from imagetext.models.folder import CARD, CONFIG
from imagetext.models.weights import changed_tensors, write_model_folder
from imagetext.wire.errors import ImageTextError, InvalidParameter
from training.captions import shifted
from training.cards import open_captions_card
from training.loop import Average, Checkpoint, Stateful, Stepper, read_config
from training.metrics import caption_scores
from training.open_caption_data import CaptionData, Imagined, Part, Pictures
from training.open_decoder import Growing, extended, grown
from training.run_log import RunLog

OPTIONS = DecodingOptions(num_beams=3)
BATCH = 50
Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class OpenCaptionsConfig:
    """The keys of open_captions.toml, explained there."""

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


class Run:
    """One training run: its networks, log and checkpoints."""

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
        self.identity = hashlib.sha256(json.dumps([asdict(config), captioner.fingerprint]).encode()).hexdigest()

    def train(self) -> Growing:
        """Returns the averaged weights, blended with those before and made bolder."""
        config, decoder = self.config, self.decoder
        average = Average(decoder, config.average)
        others = [tensor for name, tensor in decoder.named_parameters() if not name.startswith("concepts.")]
        new = [tensor for name, tensor in decoder.named_parameters() if name.startswith("concepts.")]
        groups = [
            {"params": [tensor for tensor in new if tensor.requires_grad], "lr": config.concepts_rate},
            {"params": others, "lr": config.learning_rate},
        ]
        optimizer = AdamW(groups, weight_decay=config.weight_decay)
        rates = [config.concepts_rate, config.learning_rate]
        schedule = OneCycleLR(optimizer, rates, total_steps=config.epochs * config.steps, pct_start=0.1)
        stepper = Stepper(decoder, optimizer, schedule, average)
        parts: dict[str, Stateful] = {
            "decoder": decoder,
            "average": average,
            "optimizer": optimizer,
            "schedule": schedule,
        }
        checkpoint = Checkpoint(self.work / "open-captions.pt", self.identity, **parts)
        for epoch in range(checkpoint.restore(), config.epochs):
            decoder.train()
            steps = tqdm(range(config.steps), desc=f"{epoch + 1}/{config.epochs}", unit="step", leave=False)
            losses = [stepper.step(self._loss()) for _ in steps]
            checkpoint.save(epoch + 1)
            found = scores(self.captioner, self._finished(average.module), self.vocabulary, self.data)
            self.log.write(phase="open-captions", epoch=epoch + 1, loss=float(np.mean(losses)), **found)
        return self._finished(average.module)

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
        """Tokens (pictures, captions, steps) -> logits of the words that count, the true ones, whose picture it is."""
        inputs, targets, counted = shifted(tokens.flatten(0, 1))
        owner = torch.arange(len(tokens)).repeat_interleave(tokens.shape[1])[:, None].expand(targets.shape)
        return self.decoder.teach(inputs, memory, counted), targets[counted], owner[counted]

    def _as_before(self, logits: Tensor, grids: Tensor, tokens: Tensor) -> Tensor:
        """The cross-entropy with what the captioner would have said before."""
        inputs, _, counted = shifted(tokens.flatten(0, 1))
        known = self.before.words
        with torch.no_grad():
            inputs = torch.where(inputs < known, inputs, UNKNOWN)
            said = self.before.teach(inputs, self.before.remember(grids), counted)
            said[:, UNKNOWN] = -torch.inf
            likely = said.softmax(-1)
        return -(likely * logits.log_softmax(-1)[:, :known]).sum(1).mean()


@torch.no_grad()
def blended(before: nn.Module, after: Growing, kept: float) -> Growing:
    """On the line between two states of a decoder (WiSE-FT: Wortsman et al., 2022, "Robust fine-tuning of zero-shot
    models"), `kept` of the first in it; what only the second has stays."""
    found = copy.deepcopy(after)
    # Copies: embeddings stand in it under two names, and would be blended twice.
    state = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    for name, tensor in before.state_dict().items():
        state[name][: len(tensor)].lerp_(tensor, kept)
    found.load_state_dict(state)
    return found


@torch.no_grad()
def bolder(decoder: Growing, boldness: float) -> Growing:
    """A copy that copies more readily than captioned pictures taught it, which seldom show what needs to be copied."""
    copied = copy.deepcopy(decoder)
    assert copied.concepts is not None
    copied.concepts.gate.bias.add_(boldness)
    return copied


def with_decoder(captioner: CaptionModel, decoder: Growing, vocabulary: Vocabulary) -> CaptionModel:
    backbone, transform = captioner.backbone, captioner.transform
    return CaptionModel("", "", backbone, copy.deepcopy(decoder), vocabulary, transform, captioner.length_exponent)


def said(captioner: CaptionModel, pictures: Pictures) -> list[str]:
    captions: list[str] = []
    for start in range(0, len(pictures), BATCH):
        grids = torch.from_numpy(np.asarray(pictures.grids[start : start + BATCH, 0], dtype=np.float32))
        captions += [found[0].text for found in captioner.caption_features(grids, OPTIONS)]
    return captions


def scores(captioner: CaptionModel, decoder: Growing, vocabulary: Vocabulary, data: CaptionData) -> Scores:
    """On photographs and COCO BLEU-4 and CIDEr-D; of things the share of captions that name them or their kind, and of
    those that speak of people or dogs where there are none."""
    served = with_decoder(captioner, decoder, vocabulary)
    found: Scores = {}
    for name in ("photos", "coco"):
        part = data.dev[name]
        captions = [words_of(caption) for caption in said(served, part)]
        measured = caption_scores(captions, [[words_of(caption) for caption in own] for own in part.captions])
        found[name] = {key: round(measured[key], 4) for key in ("bleu4", "cider")}
    pairs = list(zip(said(served, data.dev["things"]), data.thing_numbers, strict=True))
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
    settings.pop("confidence", None)  # that of another decoder
    start = load_backbone(settings["backbone"]).state_dict()
    tensors = changed_tensors("decoder", decoder) | changed_tensors("backbone", captioner.backbone, start)
    found = scores(captioner, decoder, run.vocabulary, run.data)
    card = open_captions_card((source / CARD).read_text(encoding="utf-8"), asdict(config), found)
    write_model_folder(folder, settings, tensors, card, {"vocabulary.txt": "\n".join(run.vocabulary.words) + "\n"})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.open_captions", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder in the layout of Flickr8k")
    parser.add_argument("--drawn", type=Path, required=True, help="drawn scenes in the same layout")
    parser.add_argument("--open", type=Path, required=True, help="pictures and sentences from beyond it")
    parser.add_argument("--model", type=Path, required=True, help="a quantised captioner")
    parser.add_argument("--retrieval", type=Path, default=Path("models/retrieval"), help="that knows names")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("open_captions.toml"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="where features are kept")
    parser.add_argument("--work", type=Path, help="checkpoints and the log; default .cache/open-NAME")
    options = parser.parse_args(argv)
    # Every batch has another number of words, and oneDNN keeps a kernel for each: ten gigabytes after an hour.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    try:
        config = read_config(OpenCaptionsConfig, options.config)
        captioner, encoder = load_in_torch(options.model), load_encoder(options.retrieval)
        if not isinstance(encoder, DualEncoder) or encoder.concepts is None:
            raise InvalidParameter(f"{options.retrieval} is no retrieval model that knows names.")
        if getattr(captioner.decoder, "concepts", None) is not None:
            raise InvalidParameter(f"{options.model} knows names already: give the model that it was made from.")
        data = CaptionData(captioner, encoder, options.photos, options.drawn, options.open, options.cache)
        run = Run(captioner, data, config, options.work or Path(".cache") / f"open-{captioner.name}")
        write(options.model, options.out, captioner, run.train(), run, config)
    except ImageTextError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write((options.out / CARD).read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
