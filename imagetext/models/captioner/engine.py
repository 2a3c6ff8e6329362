"""The captioner that is served: pictures in, sentences out. No HTTP here, and no torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagetext.engines import Array, Engines, Loaded, Run, best_size, joined
from imagetext.engines.choice import TORCH
from imagetext.models.captioner.beam import Floats, Hypothesis, Ints, Likely, Search, beam_search
from imagetext.models.captioner.vocabulary import Words, load_words, with_articles
from imagetext.models.exported import CAPTIONER, Networks, damaged, exported, load_networks
from imagetext.models.transform import PictureTransform

ENCODER, STEP = "encoder", "decoder-step"  # the two networks
USUAL_WORDS = 12  # of a sentence
CONTINUES = "##"  # prefix of a piece that continues a word


@dataclass(frozen=True)
class Confidence:
    """A logistic curve from a caption's score to the probability that it is right; `training.confidence` fits it."""

    scale: float
    offset: float

    def of(self, score: float) -> float:
        return 1 / (1 + math.exp(-(self.scale * score + self.offset)))


@dataclass(frozen=True)
class CaptionerFacts:
    """What is known about a captioner without loading its networks.

    Attributes:
        fingerprint: changes whenever a caption could.
        begin: for each tensor of the decoder's first state, the memory tensor it starts as, and whether whole or with
            none of its steps (axis 2).
    """

    name: str
    fingerprint: str
    parameters: int
    transform: PictureTransform
    length_exponent: float
    begin: tuple[tuple[int, bool], ...]
    confidence: Confidence | None = None

    def to_config(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "CaptionerFacts":
        transform = PictureTransform.from_config(config["transform"])
        begin = tuple((int(place), bool(whole)) for place, whole in config["begin"])
        values = (config["name"], config["fingerprint"], config["parameters"], transform, config["length_exponent"])
        curve = config.get("confidence")
        return cls(*values, begin, Confidence(**curve) if curve else None)


@dataclass(frozen=True)
class DecodingOptions:
    """How to decode; `num_captions` may not exceed `num_beams`. Named as in transformers' `generate`."""

    num_captions: int = 1
    num_beams: int = 3
    max_new_tokens: int = 20
    attention: bool = False


@dataclass(frozen=True)
class DecodedWord:
    """`attention` is the grid of weights behind this word, in rows from the top of the picture; it sums to 1."""

    text: str
    attention: list[list[float]] | None = None


@dataclass(frozen=True)
class DecodedCaption:
    """`score` is the mean log probability per token, end token included; `confidence` the probability that the caption
    is right, None if it was not fitted for the model."""

    text: str
    score: float
    words: tuple[DecodedWord, ...]
    confidence: float | None = None


class Captioner:
    """Captions pictures in batches. Not thread-safe.

    Networks are loaded on first use, or by `load`.
    """

    def __init__(self, facts: CaptionerFacts, vocabulary: Words, networks: Callable[[str], Loaded]) -> None:
        """`networks` returns one of the two by name; it is called once for each."""
        self.facts = facts
        self.name, self.fingerprint, self.parameters = facts.name, facts.fingerprint, facts.parameters
        self.transform, self.length_exponent = facts.transform, facts.length_exponent
        self.vocabulary = vocabulary
        self._networks = Networks(networks)

    def load(self) -> None:
        """Load both networks now."""
        self._networks.load(ENCODER, STEP)

    @property
    def engines(self) -> dict[str, Loaded]:
        """The networks that are loaded, with their engines."""
        return self._networks.loaded()

    @property
    def best_batch(self) -> int | None:
        """The smallest batch with nearly the best rate; None if that was not measured."""
        return best_size(joined(self._networks[ENCODER].seconds, self._networks[STEP].seconds, USUAL_WORDS))

    @property
    def decoded_side(self) -> int:
        """See `PictureTransform.decoded_side`."""
        return self.transform.decoded_side

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    def caption(self, inputs: Sequence[NDArray[np.uint8]], options: DecodingOptions) -> list[list[DecodedCaption]]:
        """For each input its `num_captions` best captions, best first."""
        return self._search(self._networks[ENCODER].run(np.stack(inputs)), options)

    def _search(self, memory: Sequence[Array], options: DecodingOptions) -> list[list[DecodedCaption]]:
        search = Search(
            beams=max(options.num_beams, options.num_captions),
            max_tokens=options.max_new_tokens,
            start=self.vocabulary.start,
            end=self.vocabulary.end,
            length_exponent=self.length_exponent,
        )
        step = _Stepper(self._networks[STEP].run, memory, self._begin(memory, search.beams))
        found = beam_search(step, len(memory[0]), search)
        return [[self._decoded(h, options.attention) for h in one[: options.num_captions]] for one in found]

    def _begin(self, memory: Sequence[Array], beams: int) -> list[Array]:
        """The state of each row before the first word."""
        state = [memory[place] if whole else memory[place][:, :, :0] for place, whole in self.facts.begin]
        return [np.repeat(tensor, beams, 0) for tensor in state]

    def _decoded(self, hypothesis: Hypothesis, attention: bool) -> DecodedCaption:
        words: list[tuple[str, list[Floats]]] = []
        for token, weights in zip(hypothesis.tokens, hypothesis.trace, strict=True):
            piece = self.vocabulary.word(token)
            if piece.startswith(CONTINUES) and words:
                words[-1] = (words[-1][0] + piece.removeprefix(CONTINUES), [*words[-1][1], weights])
            else:
                words.append((piece, [weights]))
        texts = with_articles([text for text, _ in words])
        maps = [_grid(weights) if attention else None for _, weights in words]
        decoded = tuple(DecodedWord(*word) for word in zip(texts, maps, strict=True))
        curve, score = self.facts.confidence, hypothesis.score
        return DecodedCaption(
            self.vocabulary.decode(hypothesis.tokens), score, decoded, curve.of(score) if curve else None
        )


def _grid(weights: list[Floats]) -> list[list[float]]:
    """The mean attention of a word's pieces, as rows."""
    mean = np.mean(weights, axis=0)
    side = int(len(mean) ** 0.5)
    rows: list[list[float]] = mean.reshape(side, side).tolist()
    return rows


class _Stepper:
    """The decoder as a step of beam search; it holds the memory of each picture and the state of each row."""

    def __init__(self, step: Run, memory: Sequence[Array], state: Sequence[Array]) -> None:
        self.step = step
        self.memory = memory
        self.state = state

    def __call__(self, words: Ints, parents: Ints, pictures: Ints) -> Likely:
        if len(pictures) < len(self.memory[0]):
            self.memory = [tensor[pictures] for tensor in self.memory]
        values, tokens, weights, *self.state = self.step(words, parents, *self.memory, *self.state)
        return Likely(values, tokens, weights)


def load_captioner(source: str | Path, engines: Engines | None = None) -> Captioner:
    """A compact captioner by folder, or a vision-encoder-decoder model of transformers by folder or hub id.

    Without engines, or with torch as the only one, it runs in torch.

    Raises:
        ModelError: it is missing, damaged, or of another kind.
    """
    if engines is None or engines.only == TORCH:
        from imagetext.models.captioner.model import load_in_torch

        return load_in_torch(source)
    model = exported(CAPTIONER, source, engines)
    try:
        facts, vocabulary = CaptionerFacts.from_config(model.facts), load_words(model.folder, model.facts["vocabulary"])
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(model.folder) from error
    return Captioner(facts, vocabulary, load_networks(model, engines))
