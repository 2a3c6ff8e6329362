"""Batched beam search over a step function: many pictures at once, the beams of each side by side."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# the last words (rows,), the row that each continues (rows,)
#   -> log probabilities of the next word (rows, vocabulary), a trace of the step to keep (rows, size)
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Search:
    """What to search for. `banned` are the tokens no sentence may hold; an empty sentence is never found."""

    beams: int
    max_tokens: int
    start: int
    end: int
    banned: tuple[int, ...] = ()
    length_exponent: float = 0.7


@dataclass(frozen=True)
class Hypothesis:
    """A sentence: its tokens without start and end, and `trace` (steps, size), the end's step left out.

    `scored` counts the tokens in `log_probability`: the words and, where it was reached, the end.
    """

    tokens: tuple[int, ...]
    log_probability: float
    scored: int
    trace: Tensor

    @property
    def score(self) -> float:
        """The mean log probability of a token."""
        return self.log_probability / self.scored


def beam_search(step: Step, pictures: int, search: Search) -> list[list[Hypothesis]]:
    """The best sentences of each picture, at most `beams` of them, best first.

    Sentences are ranked by log probability / length ** exponent (a simplified Wu et al., 2016, section 7). A picture
    is settled when `beams` sentences have ended and no open one ranks above the worst of them. Rows given to `step`
    lie picture by picture: row = picture * beams + beam.
    """
    return _Beams(pictures, search).run(step)


class _Beams:
    def __init__(self, pictures: int, search: Search) -> None:
        rows = pictures * search.beams
        self.search = search
        self.ended: list[list[Hypothesis]] = [[] for _ in range(pictures)]
        self.scores = torch.full((pictures, search.beams), -torch.inf)
        self.scores[:, 0] = 0.0  # all beams start alike: only one of them may branch
        self.tokens = torch.full((rows, 1), search.start)
        self.trace = torch.empty(rows, 0, 0)
        self.parents = torch.arange(rows)

    def run(self, step: Step) -> list[list[Hypothesis]]:
        for length in range(1, self.search.max_tokens + 1):
            log_probabilities, trace = step(self.tokens[:, -1], self.parents)
            self._advance(self._allowed(log_probabilities, length), trace)
            if all(self._settled(picture, length) for picture in range(len(self.ended))):
                break
        else:
            self._end_open()
        return [sorted(found, key=self._rank, reverse=True)[: self.search.beams] for found in self.ended]

    def _allowed(self, log_probabilities: Tensor, length: int) -> Tensor:
        log_probabilities[:, list(self.search.banned)] = -torch.inf
        if length == 1:
            log_probabilities[:, self.search.end] = -torch.inf
        return log_probabilities

    def _advance(self, log_probabilities: Tensor, trace: Tensor) -> None:
        pictures, beams = self.scores.shape
        totals = (self.scores.view(-1, 1) + log_probabilities).view(pictures, -1)
        # Twice the beams: even if every beam could end, as many candidates go on.
        scores, flat = totals.topk(min(2 * beams, totals.shape[1]))
        words = flat % log_probabilities.shape[1]
        rows = flat // log_probabilities.shape[1] + torch.arange(pictures)[:, None] * beams
        ends = words == self.search.end
        self._end(scores[:, :beams], rows[:, :beams], ends[:, :beams])
        going_on = ends.int().argsort(dim=1, stable=True)[:, :beams]
        self.scores = scores.gather(1, going_on).masked_fill(ends.gather(1, going_on), -torch.inf)
        self.parents = rows.gather(1, going_on).view(-1)
        self.tokens = torch.cat([self.tokens[self.parents], words.gather(1, going_on).view(-1, 1)], 1)
        before = self.trace[self.parents] if self.trace.numel() else trace[:, None][:, :0]
        self.trace = torch.cat([before, trace[self.parents, None]], 1)

    def _end(self, scores: Tensor, rows: Tensor, ends: Tensor) -> None:
        for picture, place in (ends & scores.isfinite()).nonzero().tolist():
            row, score = int(rows[picture, place]), float(scores[picture, place])
            self.ended[picture].append(self._hypothesis(row, score, scored=self.tokens.shape[1]))

    def _end_open(self) -> None:
        for picture, beam in self.scores.isfinite().nonzero().tolist():
            row, score = picture * self.search.beams + beam, float(self.scores[picture, beam])
            self.ended[picture].append(self._hypothesis(row, score, scored=self.tokens.shape[1] - 1))

    def _hypothesis(self, row: int, score: float, scored: int) -> Hypothesis:
        return Hypothesis(tuple(self.tokens[row, 1:].tolist()), score, scored, self.trace[row])

    def _rank(self, hypothesis: Hypothesis) -> float:
        return hypothesis.log_probability / float(hypothesis.scored**self.search.length_exponent)

    def _settled(self, picture: int, length: int) -> bool:
        ended = sorted(map(self._rank, self.ended[picture]), reverse=True)
        if len(ended) < self.search.beams:
            return False
        best_open = float(self.scores[picture].max()) / length**self.search.length_exponent
        return bool(best_open <= ended[self.search.beams - 1])
