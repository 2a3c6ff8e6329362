"""The report: one static page that needs nothing else, beside it the scores and the captions as JSON."""

import base64
import json
import os
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from imagetext.pictures import open_picture, thumbnail
from training.bootstrap import RESAMPLES
from training.report.examples import caption_groups, picture_queries, word_queries
from training.report.findings import Findings
from training.report.tables import tables

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
