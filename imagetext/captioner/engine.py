"""The captioner: a model folder loaded, pictures in, sentences out. It knows no HTTP and no files but its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imagetext.backbone import Backbone, load_backbone
from imagetext.captioner.beam import Floats, Hypothesis, Ints, Likely, Search, beam_search
from imagetext.captioner.full_size import VisionEncoder, VisionEncoderDecoder, WordPieces, load_full_size
from imagetext.captioner.network import AttentionDecoder, DecoderShape
from imagetext.captioner.programs import Saying, Seeing, programs
from imagetext.captioner.vit_bert import VitBert, VitBertShape
from imagetext.captioner.vocabulary import Vocabulary
from imagetext.engines import Array, Engines, Loaded, Run, best_size, joined, run_in_torch
from imagetext.errors import ModelError
from imagetext.model_folder import CONFIG, ModelFolder, require_source, weights_fingerprint
from imagetext.transform import PictureTransform

FULL_SIZE_LENGTH_EXPONENT = 1.0  # what `generate` ranks with where a model does not say otherwise
USUAL_WORDS = 12  # of a sentence
GOES_ON = "##"  # begins a piece of a word that another piece begins


@dataclass(frozen=True)
class DecodingOptions:
    """How to decode; `num_captions` may not exceed `num_beams`. Named as in transformers' `generate`."""

    num_captions: int = 1
    num_beams: int = 3
    max_new_tokens: int = 20
    attention: bool = False


@dataclass(frozen=True)
class DecodedWord:
    """`attention` is the grid of weights, rows over the whole picture from the top, that chose this word; sums to 1."""

    text: str
    attention: list[list[float]] | None = None


@dataclass(frozen=True)
class DecodedCaption:
    """`score` is the mean log probability of a token, the end token included."""

    text: str
    score: float
    words: tuple[DecodedWord, ...]


class Captioner:
    """Captions pictures in batches; not for use by several threads at once.

    It runs in torch until `run_in` gives it other engines.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        backbone: Backbone | VisionEncoder,
        decoder: AttentionDecoder | VitBert | VisionEncoderDecoder,
        vocabulary: Vocabulary | WordPieces,
        transform: PictureTransform,
        length_exponent: float,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.backbone = backbone.eval()
        self.decoder = decoder.eval()
        self.vocabulary = vocabulary
        self.transform = transform
        self.length_exponent = length_exponent
        self.parameters = sum(p.numel() for part in (backbone, decoder) for p in part.parameters())
        seeing = Seeing(transform, self.backbone, self.decoder)
        saying = Saying(self.decoder, self.decoder.memory_tensors, self.decoder.words, vocabulary.banned)
        self._modules = seeing.eval(), saying.eval()
        self._see, self._say = (run_in_torch(module) for module in self._modules)
        self._loaded: dict[str, Loaded] = {}

    def run_in(self, engines: Engines) -> None:
        """Choose an engine for each of the two networks."""
        seeing, saying = programs(*self._modules, self.transform.size)
        self._loaded = {program.name: engines.load(program, self.fingerprint) for program in (seeing, saying)}
        self._see, self._say = (self._loaded[program.name].run for program in (seeing, saying))

    @property
    def engines(self) -> dict[str, str]:
        """The engine of each network; empty before `run_in`."""
        return {name: loaded.engine for name, loaded in self._loaded.items()}

    @property
    def best_batch(self) -> int | None:
        """How many pictures are captioned at once at nearly the best rate; None where that was not measured."""
        if not self._loaded:
            return None
        seen, said = (self._loaded[name].seconds for name in ("seeing", "saying"))
        return best_size(joined(seen, said, USUAL_WORDS))

    @property
    def decoded_side(self) -> int:
        """See `PictureTransform.decoded_side`."""
        return self.transform.decoded_side

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    def caption(self, inputs: Sequence[NDArray[np.uint8]], options: DecodingOptions) -> list[list[DecodedCaption]]:
        """For each input its `num_captions` best captions, best first."""
        return self._search(self._see(np.stack(inputs)), options)

    @torch.inference_mode()
    def caption_features(self, features: Tensor, options: DecodingOptions) -> list[list[DecodedCaption]]:
        """As `caption`, from the backbone's features (n, places, channels)."""
        return self._search([tensor.numpy() for tensor in self.decoder.remember(features)], options)

    def _search(self, memory: Sequence[Array], options: DecodingOptions) -> list[list[DecodedCaption]]:
        search = Search(
            beams=max(options.num_beams, options.num_captions),
            max_tokens=options.max_new_tokens,
            start=self.vocabulary.start,
            end=self.vocabulary.end,
            length_exponent=self.length_exponent,
        )
        step = _Stepper(self._say, memory, self._begin(memory, search.beams))
        found = beam_search(step, len(memory[0]), search)
        return [[self._decoded(h, options.attention) for h in one[: options.num_captions]] for one in found]

    def _begin(self, memory: Sequence[Array], beams: int) -> list[Array]:
        state = self.decoder.begin(tuple(map(torch.from_numpy, memory)))
        return [np.repeat(tensor.numpy(), beams, 0) for tensor in state]

    def _decoded(self, hypothesis: Hypothesis, attention: bool) -> DecodedCaption:
        words: list[tuple[str, list[Floats]]] = []
        for token, weights in zip(hypothesis.tokens, hypothesis.trace, strict=True):
            piece = self.vocabulary.word(token)
            if piece.startswith(GOES_ON) and words:
                words[-1] = (words[-1][0] + piece.removeprefix(GOES_ON), [*words[-1][1], weights])
            else:
                words.append((piece, [weights]))
        decoded = tuple(DecodedWord(text, _grid(weights) if attention else None) for text, weights in words)
        return DecodedCaption(self.vocabulary.decode(hypothesis.tokens), hypothesis.score, decoded)


def _grid(weights: list[Floats]) -> list[list[float]]:
    """The mean attention of a word's pieces, as rows."""
    mean = np.mean(weights, axis=0)
    side = int(len(mean) ** 0.5)
    rows: list[list[float]] = mean.reshape(side, side).tolist()
    return rows


class _Stepper:
    """The decoder as a step of beam search: it holds the memory of every picture and the state of every row."""

    def __init__(self, say: Run, memory: Sequence[Array], state: Sequence[Array]) -> None:
        self.say = say
        self.memory = memory
        self.state = state

    def __call__(self, words: Ints, parents: Ints, pictures: Ints) -> Likely:
        if len(pictures) < len(self.memory[0]):
            self.memory = [tensor[pictures] for tensor in self.memory]
        values, tokens, weights, *self.state = self.say(words, parents, *self.memory, *self.state)
        return Likely(values, tokens, weights)


def load_captioner(source: str | Path, engines: Engines | None = None) -> Captioner:
    """A compact captioner by folder, or a vision-encoder-decoder model of transformers by folder or hub id.

    Without engines it runs in torch.

    Raises:
        ModelError: it is missing, damaged, or of another kind.
    """
    require_source(source)
    path = Path(source)
    compact = path.is_dir() and not _is_transformers(path)
    captioner = _compact(ModelFolder.open(path)) if compact else _full_size(source)
    if engines is not None:
        captioner.run_in(engines)
    return captioner


def _is_transformers(path: Path) -> bool:
    """Whether transformers wrote the folder: its config then tells the type of the model."""
    try:
        return "model_type" in json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _compact(folder: ModelFolder) -> Captioner:
    config = folder.config
    vocabulary = Vocabulary.read(folder.file("vocabulary.txt"))
    try:
        backbone, decoder = load_backbone(config["backbone"]), _decoder(config)
    except (KeyError, TypeError) as error:
        raise ModelError(f"The config in {folder.path} is not that of a captioner as it is made here.") from error
    if len(vocabulary) != decoder.shape.vocabulary:
        raise ModelError(f"{folder.path} has {len(vocabulary)} words for a model of {decoder.shape.vocabulary}.")
    folder.load_into({"decoder": decoder, "backbone": backbone})
    return Captioner(
        config["name"],
        folder.fingerprint,
        backbone,
        decoder,
        vocabulary,
        PictureTransform.from_config(config["transform"]),
        config["length_exponent"],
    )


def _decoder(config: dict[str, Any]) -> AttentionDecoder | VitBert:
    match config.get("architecture"):
        case AttentionDecoder.architecture:
            return AttentionDecoder(DecoderShape(**config["decoder"]))
        case VitBert.architecture:
            return VitBert(VitBertShape(**config["decoder"]))
    raise ModelError(f"{config.get('name', 'The folder')} is no captioner that can be loaded here.")


def _full_size(source: str | Path) -> Captioner:
    encoder, decoder, vocabulary, transform = load_full_size(source)
    fingerprint = weights_fingerprint([encoder, decoder], transform)
    name = Path(str(source)).name
    return Captioner(name, fingerprint, encoder, decoder, vocabulary, transform, FULL_SIZE_LENGTH_EXPONENT)
