"""The captioners that ours are compared with, on the same modules.

The GRU captioner decodes in plain torch, with beam search as tutorials write it: a list of beams, word by word, and our
ranking. Captioners with a BERT decoder use transformers' own `generate`.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from imagetext.models.backbone import Pixels
from imagetext.models.captioner.concepts import Concepts
from imagetext.models.captioner.decoder import Memory, State
from imagetext.models.captioner.full_size import VisionEncoderDecoder
from imagetext.models.captioner.gru import AttentionDecoder
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.captioner.vit_bert import VitBert


@dataclass(frozen=True)
class _Beam:
    tokens: list[int]
    log_probability: float
    state: State  # of one row


class PlainCaptioner:
    """Captions one picture at a time with the modules of a captioner."""

    def __init__(self, captioner: CaptionModel, beams: int, words: int) -> None:
        assert isinstance(captioner.decoder, AttentionDecoder)
        self.captioner = captioner
        self.decoder = captioner.decoder
        self.pixels = Pixels(captioner.transform)
        self.beams = beams
        self.words = words
        self.banned = list(captioner.vocabulary.banned)

    @torch.inference_mode()
    def __call__(self, picture: NDArray[Any]) -> str:
        """A prepared picture (3, size, size) in bytes -> its caption."""
        scaled = self.pixels(torch.from_numpy(picture)[None])
        memory = self.decoder.remember(self.captioner.backbone(scaled))
        return self.captioner.vocabulary.decode(self._search(memory))

    def _search(self, memory: Memory) -> list[int]:
        start, end = self.captioner.vocabulary.start, self.captioner.vocabulary.end
        beams, ended = [_Beam([start], 0.0, self.decoder.begin(memory))], []
        for length in range(1, self.words + 1):
            grown = self._grown(beams, memory, end if length == 1 else None)
            ended += [(self._rank(beam, length), beam) for beam in grown[: self.beams] if beam.tokens[-1] == end]
            beams = [beam for beam in grown if beam.tokens[-1] != end][: self.beams]
            ended = sorted(ended, key=lambda pair: pair[0], reverse=True)[: self.beams]
            if len(ended) == self.beams and self._rank(beams[0], length) <= ended[-1][0]:
                break
        else:
            ended += [(self._rank(beam, self.words), beam) for beam in beams]
        best = max(ended, key=lambda pair: pair[0])[1]
        return [token for token in best.tokens if token not in (start, end)]

    def _grown(self, beams: list[_Beam], memory: Memory, barred: int | None) -> list[_Beam]:
        """The likeliest continuations of all beams, twice the number kept, best first."""
        words = torch.tensor([beam.tokens[-1] for beam in beams])
        state = tuple(torch.cat(parts) for parts in zip(*(beam.state for beam in beams), strict=True))
        logits, _, state = self.decoder.step(words, memory, state)
        found = self._log_probabilities(logits, barred)
        totals = found + torch.tensor([beam.log_probability for beam in beams])[:, None]
        values, places = totals.flatten().topk(2 * self.beams)
        size, rows = found.shape[1], []
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            row, token = divmod(place, size)
            kept = tuple(tensor[row : row + 1] for tensor in state)
            rows.append(_Beam([*beams[row].tokens, token], value, kept))
        return rows

    def _log_probabilities(self, logits: Tensor, barred: int | None) -> Tensor:
        """(rows, vocabulary); minus infinity for banned words."""
        found = logits.log_softmax(-1)
        found[:, self.banned if barred is None else [*self.banned, barred]] = -torch.inf
        return found

    def _rank(self, beam: _Beam, length: int) -> float:
        return beam.log_probability / float(length**self.captioner.length_exponent)


class GeneratedCaptions:
    """Captions one picture at a time. `exactly` gives every caption the maximum length."""

    def __init__(self, captioner: CaptionModel, beams: int, words: int, *, exactly: bool = False) -> None:
        assert isinstance(captioner.decoder, VitBert | VisionEncoderDecoder)
        self.captioner = captioner
        self.decoder = captioner.decoder
        self.pixels = Pixels(captioner.transform)
        bert = captioner.decoder.decoder.bert
        self.copying: _Copying | None = None
        if isinstance(captioner.decoder, VitBert) and captioner.decoder.concepts is not None:
            bert = copy.copy(bert)
            bert._modules = bert._modules | {"cls": (copying := _Copying(bert.cls, captioner.decoder.concepts))}
            self.copying = copying
        self.model = _joined(bert)
        vocabulary = captioner.vocabulary
        self.options: dict[str, Any] = {
            "num_beams": beams,
            "max_new_tokens": words,
            "min_new_tokens": words if exactly else 1,
            "length_penalty": captioner.length_exponent,
            "do_sample": False,
            "decoder_start_token_id": vocabulary.start,
            "bos_token_id": vocabulary.start,
            "eos_token_id": vocabulary.end,
            "pad_token_id": 0,
            "suppress_tokens": list(vocabulary.banned),
        }

    @torch.inference_mode()
    def __call__(self, picture: NDArray[Any]) -> str:
        """A prepared picture (3, size, size) in bytes -> its caption."""
        return self.captioner.vocabulary.decode(self._without_ends(self.tokens(picture)))

    @torch.inference_mode()
    def tokens(self, picture: NDArray[Any]) -> list[int]:
        """The caption as token ids, without the start token."""
        from transformers.modeling_outputs import BaseModelOutput

        states = self._states(self.pixels(torch.from_numpy(picture)[None]))
        found: Tensor = self.model.generate(encoder_outputs=BaseModelOutput(states), **self.options)
        tokens: list[int] = found[0].tolist()[1:]
        return tokens

    def _states(self, scaled: Tensor) -> Tensor:
        """What the decoder attends to, (1, places, width)."""
        features = self.captioner.backbone(scaled)
        if isinstance(self.decoder, VisionEncoderDecoder):
            projected: Tensor = self.decoder.project(features)
            return projected
        x = self.decoder.norm(F.relu(self.decoder.project(features))) + self.decoder.positions_of(features.shape[1])
        concepts = self.decoder.concepts
        if self.copying is not None and concepts is not None:
            logits = concepts.logits(features)
            self.copying.copied = concepts.copied(logits)
            x = torch.cat([x, concepts.places(logits)], 1)
        for layer in self.decoder.encoder:
            x = layer(x)
        states: Tensor = self.decoder.encoder_norm(x)
        return states

    def _without_ends(self, tokens: list[int]) -> list[int]:
        ends = {0, self.captioner.vocabulary.start, self.captioner.vocabulary.end}
        return [token for token in tokens if token not in ends]


class _Copying(nn.Module):
    """A head that may copy the words for what is recognised in the one picture that is captioned; possibly twice, since
    `generate` does not tell it which words were used."""

    def __init__(self, head: Any, concepts: Concepts) -> None:
        super().__init__()
        self.predictions = head.predictions  # named as transformers ties it to the embeddings
        self.spoken = concepts.spoken  # not the module itself, which transformers would fill with new weights
        self.copied = torch.empty(0)

    def forward(self, states: Tensor) -> Tensor:
        rows, steps, _ = states.shape
        return self.spoken(states, self.predictions(states), self.copied.expand(rows, steps, -1))


def _joined(bert: Any) -> Any:
    """In an encoder-decoder model `generate` caches the picture's keys and values; the encoder is a placeholder."""
    from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig, ViTModel

    width = bert.config.hidden_size
    vit = ViTConfig(hidden_size=width, num_hidden_layers=0, num_attention_heads=1, intermediate_size=1)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, bert.config)
    return VisionEncoderDecoderModel(config, encoder=ViTModel(vit, add_pooling_layer=False), decoder=bert).eval()
