"""The GRU captioner in plain torch, word by word: beam search as tutorials write it, one beam after the other kept in a
list, on our modules and with our ranking."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from imagetext.captioner.decoder import Memory, State
from imagetext.captioner.model import CaptionModel
from imagetext.captioner.network import AttentionDecoder
from imagetext.pixels import Pixels


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
        """The likeliest continuations of all beams, twice as many as are kept; best first."""
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
        """(rows, vocabulary); minus infinity for what may not come."""
        found = logits.log_softmax(-1)
        found[:, self.banned if barred is None else [*self.banned, barred]] = -torch.inf
        return found

    def _rank(self, beam: _Beam, length: int) -> float:
        return beam.log_probability / float(length**self.captioner.length_exponent)
