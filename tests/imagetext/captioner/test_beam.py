"""Beam search against an exhaustive search over a small language."""

import itertools
import math

import numpy as np
import pytest
import torch

from imagetext.models.captioner.beam import Ints, Likely, Search, beam_search

START, END, WORDS = 0, 1, 5


class BigramLanguage:
    """A step function whose next word depends on the picture and the last word alone; the trace is the last word."""

    def __init__(self, pictures: int, beams: int, seed: int = 0, banned: tuple[int, ...] = (START,)) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.randn(pictures, WORDS, WORDS, generator=generator).mul(2).log_softmax(-1).numpy()
        self.beams = beams
        self.banned = banned
        self.going_on = np.arange(pictures)
        self.picture = np.repeat(self.going_on, beams)

    def __call__(self, words: Ints, parents: Ints, pictures: Ints) -> Likely:
        assert np.all(np.diff(pictures) > 0), "pictures keep their order"
        assert np.isin(self.picture[parents], self.going_on[pictures]).all(), "rows of settled pictures are left out"
        self.going_on = self.going_on[pictures]
        rows = np.repeat(self.going_on, self.beams)
        assert np.array_equal(self.picture[parents], rows), "a beam may only continue a beam of its own picture"
        self.picture = rows
        allowed = torch.from_numpy(self.table[rows, words]).index_fill(1, torch.tensor(self.banned), -torch.inf)
        likely = allowed.topk(WORDS)
        return Likely(likely.values.numpy(), likely.indices.numpy(), words[:, None].astype(np.float32))

    def log_probability(self, picture: int, tokens: tuple[int, ...], ended: bool) -> float:
        path = (START, *tokens, END) if ended else (START, *tokens)
        return sum(float(self.table[picture, a, b]) for a, b in itertools.pairwise(path))


def search(beams: int, max_tokens: int = 4, exponent: float = 0.7) -> Search:
    return Search(beams, max_tokens, START, END, exponent)


def test_wide_beam_finds_the_best_sentence() -> None:
    """With beams enough for every prefix, the search equals trying every sentence."""
    pictures, beams = 3, 120
    language = BigramLanguage(pictures, beams)

    found = beam_search(language, pictures, search(beams))

    for picture, hypotheses in enumerate(found):
        ranked = []
        for length in (1, 2, 3):
            for tokens in itertools.product(range(2, WORDS), repeat=length):
                ranked.append((language.log_probability(picture, tokens, True) / (length + 1) ** 0.7, tokens))
        for tokens in itertools.product(range(2, WORDS), repeat=4):
            ranked.append((language.log_probability(picture, tokens, False) / 4**0.7, tokens))
        best_score, best = max(ranked)
        assert hypotheses[0].tokens == best
        assert hypotheses[0].log_probability / hypotheses[0].scored ** 0.7 == pytest.approx(best_score, abs=1e-4)


def test_one_beam_is_greedy() -> None:
    """A single beam follows the most probable word until the end comes first."""
    language = BigramLanguage(1, 1, seed=3)

    tokens = beam_search(language, 1, search(1, max_tokens=8))[0][0].tokens

    word, expected = START, []
    for step in range(8):
        row = language.table[0, word].copy()
        row[START] = -math.inf
        if step == 0:
            row[END] = -math.inf
        word = int(row.argmax())
        if word == END:
            break
        expected.append(word)
    assert list(tokens) == expected


def test_hypotheses_are_distinct_sorted_and_never_empty() -> None:
    """What comes back are different sentences, best first, each of at least one word."""
    found = beam_search(BigramLanguage(4, 3), 4, search(3, max_tokens=6))

    for hypotheses in found:
        ranks = [h.log_probability / h.scored**0.7 for h in hypotheses]
        assert len(hypotheses) == 3
        assert ranks == sorted(ranks, reverse=True)
        assert len({h.tokens for h in hypotheses}) == 3
        assert all(h.tokens for h in hypotheses)


def test_pictures_do_not_disturb_each_other() -> None:
    """A picture's sentences are the same alone and in company."""
    together = BigramLanguage(3, 2)
    found = beam_search(together, 3, search(2))

    alone = BigramLanguage(1, 2)
    alone.table = together.table[2:]

    assert [h.tokens for h in beam_search(alone, 1, search(2))[0]] == [h.tokens for h in found[2]]


def test_trace_holds_one_row_for_each_word() -> None:
    """The trace of a sentence is that of its own words, in order, also after beams have crossed."""
    for hypothesis in itertools.chain(*beam_search(BigramLanguage(3, 3), 3, search(3, max_tokens=6))):
        said_before = (START, *hypothesis.tokens[:-1])
        assert hypothesis.trace[: len(hypothesis.tokens), 0].tolist() == list(map(float, said_before))


def test_banned_tokens_are_never_said() -> None:
    """A banned token does not occur, however probable."""
    language = BigramLanguage(1, 2, banned=(START, 4))
    language.table[:, :, 4] = 5.0

    found = beam_search(language, 1, search(2, max_tokens=5))

    assert all(4 not in hypothesis.tokens for hypothesis in found[0])
