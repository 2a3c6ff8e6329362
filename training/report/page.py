"""The report: one static page that needs nothing else, with scores and captions as JSON next to it.

It shows the best pictures, the worst, and a random sample.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from imagetext.pictures import open_picture, thumbnail
from training.ranking import RESAMPLES
from training.report.tables import CaptionFindings, Findings, SearchFindings, tables

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


HERE = Path(__file__).parent
LARGE, SMALL = 224, 160  # pixels of the longer side


def write_report(findings: Findings, title: str, folder: Path) -> Path:
    """`index.html`, `scores.json` and `captions/NAME.json` in `folder`; the path of the page.

    The captions are in the layout that `training.score` reads.
    """
    names = [picture.name for picture in findings.pictures]
    for one in findings.captioners:
        file = folder / "captions" / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', one.name)}.json"
        _write(file, json.dumps(dict(zip(names, one.scored.captions, strict=True)), indent=0) + "\n")
    _write(folder / "scores.json", json.dumps(findings.to_json(), indent=1) + "\n")
    page = folder / "index.html"
    _write(page, render(findings, title))
    return page


def render(findings: Findings, title: str) -> str:
    """The page as HTML; the pictures are small JPEGs in it."""

    @cache
    def picture(row: int, size: int) -> str:
        data = thumbnail(open_picture(findings.pictures[row].path, target=size), size)
        return "data:image/jpeg;base64," + base64.b64encode(data).decode()

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tidy"] = _tidy
    return environment.get_template("page.html").render(
        title=title,
        pictures=len(findings.pictures),
        resamples=RESAMPLES,
        tables=tables(findings),
        compared=len(findings.captioners) > 1 or len(findings.encoders) > 1,
        groups=caption_groups(findings),
        searches=[(one.name, word_queries(one), picture_queries(one)) for one in findings.encoders],
        large=lambda row: picture(row, LARGE),
        small=lambda row: picture(row, SMALL),
    )


def _tidy(caption: str) -> str:
    """Without the blanks that the data set has before its punctuation."""
    return re.sub(r"\s+([.,;:!?])", r"\1", caption.strip())


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
