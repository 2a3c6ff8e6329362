"""Batched beam search over a step function: many pictures at once, the beams of each side by side.

The step returns only the likeliest words of each row, so Python handles a few numbers per beam. Sentences are kept as
links from word to word, and only the returned ones are written out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Likely(NamedTuple):
    """The likeliest next words of each row, best first: log probabilities and tokens, both (rows, words).

    `trace` (rows, size) is kept with the word that is chosen.
    """

    log_probabilities: Floats
    tokens: Ints
    trace: Floats


# last words (rows,), the previous step's row that each continues (rows,), the pictures of the previous step that go on
# (pictures,) -> likely next words
Step = Callable[[Ints, Ints, Ints], Likely]


@dataclass(frozen=True)
class Search:
    """Settings of a search, which never returns an empty sentence.

    The step must return at least `2 * beams + 1` words per row, or the whole vocabulary.
    """

    beams: int
    max_tokens: int
    start: int
    end: int
    length_exponent: float = 0.7


@dataclass(frozen=True)
class Hypothesis:
    """A sentence: its tokens without start and end, and their `trace` (tokens, size).

    `scored` counts the tokens in `log_probability`: the words, and the end token if it was reached.
    """

    tokens: tuple[int, ...]
    log_probability: float
    scored: int
    trace: Floats

    @property
    def score(self) -> float:
        """The mean log probability of a token."""
        return self.log_probability / self.scored


def beam_search(step: Step, pictures: int, search: Search) -> list[list[Hypothesis]]:
    """The best sentences of each picture, at most `beams` of them, best first.

    Sentences are ranked by log probability / length ** exponent (a simplified Wu et al., 2016, section 7). A picture
    is settled when `beams` sentences have ended and no open one ranks above the worst of them; it is then left out of
    further steps. Rows are ordered by picture: row = position of the picture * beams + beam.
    """
    return _Beams(pictures, search).run(step)


class _Ended(NamedTuple):
    """A sentence that ended after the words of `steps` steps; the last of them is in `row` of its step."""

    rank: float
    log_probability: float
    scored: int
    steps: int
    row: int


class _Words(NamedTuple):
    """One step: the chosen words (rows,), and for each the previous step's row that it continues."""

    tokens: Ints
    parents: Ints
    trace: Floats


class _Beams:
    def __init__(self, pictures: int, search: Search) -> None:
        self.search = search
        self.ended: list[list[_Ended]] = [[] for _ in range(pictures)]
        self.open = np.arange(pictures)  # pictures that are not settled, in the order of their rows
        self.scores = np.full((pictures, search.beams), -np.inf, dtype=np.float32)
        self.scores[:, 0] = 0.0  # all beams start alike: only one of them may branch
        self.words: list[_Words] = []

    def run(self, step: Step) -> list[list[Hypothesis]]:
        rows, going_on = np.arange(self.scores.size), np.arange(len(self.open))
        tokens = np.full(len(rows), self.search.start, dtype=np.int64)
        for length in range(1, self.search.max_tokens + 1):
            tokens, rows = self._advance(step(tokens, rows, going_on), length)
            going_on = np.flatnonzero([not self._settled(place, length) for place in range(len(self.open))])
            if not len(going_on):
                break
            tokens, rows = self._keep(going_on, tokens, rows)
        else:
            self._end_open()
        return [[self._written(one) for one in self._best(found)] for found in self.ended]

    def _advance(self, likely: Likely, length: int) -> tuple[Ints, Ints]:
        """Returns the words of all beams and the rows that they continue."""
        pictures, beams = self.scores.shape
        if length == 1:
            likely.log_probabilities[likely.tokens == self.search.end] = -np.inf
        totals = (self.scores.reshape(-1, 1) + likely.log_probabilities).reshape(pictures, -1)
        # Twice the beams: enough candidates go on even if every beam ends.
        flat = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * beams]
        place, each = np.arange(pictures)[:, None], likely.tokens.shape[1]
        beam, word = np.divmod(flat, each)
        scores, rows = totals[place, flat], beam + place * beams
        tokens = likely.tokens[rows, word]
        ends = tokens == self.search.end
        if ends.any():
            self._end(scores[:, :beams], rows[:, :beams], ends[:, :beams], length)
            order = np.argsort(ends, axis=1, kind="stable")
            tokens, rows = tokens[place, order], rows[place, order]
            scores = np.where(ends, -np.inf, scores)[place, order]
        self.scores = np.ascontiguousarray(scores[:, :beams], dtype=np.float32)
        chosen, parents = tokens[:, :beams].ravel(), rows[:, :beams].ravel()
        self.words.append(_Words(chosen, parents, likely.trace))
        return chosen, parents

    def _end(self, scores: Floats, rows: Ints, ends: NDArray[np.bool_], length: int) -> None:
        for place, beam in np.argwhere(ends & np.isfinite(scores)).tolist():
            self._add(place, float(scores[place, beam]), length, length - 1, int(rows[place, beam]))

    def _end_open(self) -> None:
        steps = len(self.words)
        for place, beam in np.argwhere(np.isfinite(self.scores)).tolist():
            self._add(place, float(self.scores[place, beam]), steps, steps, place * self.search.beams + beam)

    def _add(self, place: int, score: float, scored: int, steps: int, row: int) -> None:
        rank = score / float(scored**self.search.length_exponent)
        self.ended[self.open[place]].append(_Ended(rank, score, scored, steps, row))

    def _best(self, found: list[_Ended]) -> list[_Ended]:
        return sorted(found, key=lambda one: one.rank, reverse=True)[: self.search.beams]

    def _settled(self, place: int, length: int) -> bool:
        found = self.ended[self.open[place]]
        if len(found) < self.search.beams:
            return False
        best_open = float(self.scores[place].max()) / length**self.search.length_exponent
        return bool(best_open <= self._best(found)[-1].rank)

    def _keep(self, going_on: Ints, tokens: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """Drop the rows of settled pictures."""
        if len(going_on) == len(self.open):
            return tokens, rows
        beams = self.search.beams
        self.open, self.scores = self.open[going_on], self.scores[going_on]
        tokens, rows = (each.reshape(-1, beams)[going_on].ravel() for each in (tokens, rows))
        self.words[-1] = _Words(tokens, rows, self.words[-1].trace)
        return tokens, rows

    def _written(self, ended: _Ended) -> Hypothesis:
        tokens, trace, row = [], [], ended.row
        for words in reversed(self.words[: ended.steps]):
            tokens.append(int(words.tokens[row]))
            row = int(words.parents[row])
            trace.append(words.trace[row])
        size = self.words[0].trace.shape[1]
        kept = np.array(trace[::-1], dtype=np.float32).reshape(len(trace), size)
        return Hypothesis(tuple(tokens[::-1]), ended.log_probability, ended.scored, kept)
