"""The captioner: a model folder loaded, pictures in, sentences out. It knows no HTTP and no files but its own."""

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
from imagetext.captioner.beam import Hypothesis, Search, beam_search
from imagetext.captioner.decoder import Decoder, Memory
from imagetext.captioner.network import AttentionDecoder, DecoderShape
from imagetext.captioner.vit_bert import VitBert, VitBertShape
from imagetext.captioner.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from imagetext.errors import ModelError
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform


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
    """Captions pictures in batches; not for use by several threads at once."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        backbone: Backbone,
        decoder: AttentionDecoder | VitBert,
        vocabulary: Vocabulary,
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

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    @torch.inference_mode()
    def caption(self, inputs: Sequence[NDArray[np.uint8]], options: DecodingOptions) -> list[list[DecodedCaption]]:
        """For each input its `num_captions` best captions, best first."""
        pictures = torch.from_numpy(self.transform.scale(np.stack(inputs)))
        return self.caption_features(self.backbone(pictures), options)

    @torch.inference_mode()
    def caption_features(self, features: Tensor, options: DecodingOptions) -> list[list[DecodedCaption]]:
        """As `caption`, from the backbone's features (n, places, channels)."""
        search = Search(
            beams=max(options.num_beams, options.num_captions),
            max_tokens=options.max_new_tokens,
            start=START,
            end=END,
            banned=(PAD, START, UNKNOWN),
            length_exponent=self.length_exponent,
        )
        memory = self.decoder.remember(features)
        found = beam_search(_Stepper(self.decoder, memory, search.beams), len(features), search)
        return [[self._decoded(h, options.attention) for h in one[: options.num_captions]] for one in found]

    def _decoded(self, hypothesis: Hypothesis, attention: bool) -> DecodedCaption:
        side = int(hypothesis.trace.shape[1] ** 0.5)
        words = tuple(
            DecodedWord(self.vocabulary.word(token), weights.view(side, side).tolist() if attention else None)
            for token, weights in zip(hypothesis.tokens, hypothesis.trace, strict=True)
        )
        return DecodedCaption(" ".join(word.text for word in words), hypothesis.score, words)


class _Stepper:
    """The decoder as a step of beam search: it holds the state of every row."""

    def __init__(self, decoder: Decoder, memory: Memory, beams: int) -> None:
        self.decoder = decoder
        self.memory = memory
        self.state = decoder.begin(memory, beams)

    def __call__(self, words: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        logits, weights, self.state = self.decoder.step(words, self.memory, self.state.select(parents))
        return logits.float().log_softmax(-1), weights


def load_captioner(source: str | Path) -> Captioner:
    """The captioner in a model folder.

    Raises:
        ModelError: the folder is missing, damaged, or of another kind.
    """
    folder = ModelFolder.open(Path(source))
    config = folder.config
    vocabulary = Vocabulary.read(folder.file("vocabulary.txt"))
    backbone = load_backbone(config["backbone"])
    decoder = _decoder(config)
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
