"""Which pictures the page shows: the best, the worst, and some drawn by lot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.report.findings import CaptionFindings, Findings, SearchFindings

SEED = 0
CARDS = 6  # of the best and of the worst, each; twice as many by lot
QUERIES = 6  # hits and misses, each
TOP = 5


@dataclass(frozen=True)
class Spoken:
    """What one captioner said of a picture; `cider` of this caption alone."""

    captioner: str
    text: str
    cider: float


@dataclass(frozen=True)
class Card:
    """A picture by its row, what was said of it, and its references."""

    row: int
    spoken: tuple[Spoken, ...]
    references: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class WordQuery:
    """Words, the rows of the first pictures, the right row and its rank from 1."""

    words: str
    found: tuple[int, ...]
    right: int
    rank: int


@dataclass(frozen=True)
class PictureQuery:
    """A picture's row, the first texts and whether each is its own, and the best of its own with the rank from 1."""

    row: int
    found: tuple[tuple[str, bool], ...]
    own: str
    rank: int


def caption_groups(findings: Findings) -> list[Group]:
    """For each captioner the highest and lowest CIDEr-D (ROUGE-L where that is equal); for all the same by lot."""
    groups = []
    for one in findings.captioners:
        order = np.lexsort((one.scored.means["rouge_l"], one.scored.means["cider"]))
        for title, rows in (("Best", order[::-1][:CARDS]), ("Worst", order[:CARDS])):
            groups.append(Group(f"{title} of {one.name}", _cards(findings, rows, [one])))
    if findings.captioners:
        lot = np.random.default_rng(SEED).permutation(len(findings.pictures))[: 2 * CARDS]
        groups.append(Group("Drawn by lot", _cards(findings, lot, findings.captioners)))
    return groups


def _cards(findings: Findings, rows: Iterable[int], captioners: Sequence[CaptionFindings]) -> tuple[Card, ...]:
    return tuple(
        Card(
            int(row),
            tuple(Spoken(c.name, c.scored.captions[row], float(c.scored.means["cider"][row])) for c in captioners),
            findings.pictures[row].captions,
        )
        for row in rows
    )


def word_queries(encoder: SearchFindings) -> tuple[list[WordQuery], list[WordQuery]]:
    """Hits (the right picture is among the first five) and misses, by lot, each of another picture."""
    ranking = encoder.ranking

    def query(text: int) -> WordQuery:
        found = np.argsort(-ranking.similarity[text], kind="stable")[:TOP]
        right = int(ranking.owner[text])
        return WordQuery(encoder.texts[text], tuple(found.tolist()), right, int(ranking.text_rank[text]) + 1)

    lot = np.random.default_rng(SEED).permutation(len(encoder.texts))
    _, first = np.unique(ranking.owner[lot], return_index=True)
    hits, misses = _parted(lot[np.sort(first)], ranking.text_rank)
    return [query(text) for text in hits], [query(text) for text in misses]


def picture_queries(encoder: SearchFindings) -> tuple[list[PictureQuery], list[PictureQuery]]:
    """Hits (one of the picture's own texts is among the first five) and misses, by lot."""
    ranking = encoder.ranking

    def query(row: int) -> PictureQuery:
        order = np.argsort(-ranking.similarity[:, row], kind="stable")
        found = tuple((encoder.texts[text], bool(ranking.owner[text] == row)) for text in order[:TOP])
        own = next(text for text in order if ranking.owner[text] == row)
        return PictureQuery(row, found, encoder.texts[own], int(ranking.picture_rank[row]) + 1)

    lot = np.random.default_rng(SEED + 1).permutation(len(ranking.picture_rank))
    hits, misses = _parted(lot, ranking.picture_rank)
    return [query(row) for row in hits], [query(row) for row in misses]


def _parted(lot: NDArray[np.int64], ranks: NDArray[np.intp]) -> tuple[list[int], list[int]]:
    hits = [int(one) for one in lot if ranks[one] < TOP]
    misses = [int(one) for one in lot if ranks[one] >= TOP]
    return hits[:QUERIES], misses[:QUERIES]
