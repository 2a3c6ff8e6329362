"""What an evaluation found.

Scores side by side: a row for each metric, a column for each model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from training.dataset import CaptionedPicture
from training.ranking import Estimate, Ranking
from training.scored_captions import ScoredCaptions


@dataclass(frozen=True)
class CaptionFindings:
    """One captioner's captions of all pictures."""

    name: str
    scored: ScoredCaptions
    scores: dict[str, Estimate]


@dataclass(frozen=True)
class SearchFindings:
    """One encoder's search among all pictures; `texts[i]` is the caption in row i of the ranking."""

    name: str
    texts: Sequence[str]
    ranking: Ranking
    scores: dict[str, Estimate]


@dataclass(frozen=True)
class Findings:
    """All models on the same pictures; `drawn` are the encoders' scores on drawn scenes."""

    pictures: Sequence[CaptionedPicture]
    captioners: Sequence[CaptionFindings]
    encoders: Sequence[SearchFindings]
    drawn: Sequence[SearchFindings] = ()

    def to_json(self) -> dict[str, object]:
        """Every score with its interval, in the unit that the metric is defined in."""
        captions = {
            one.name: _scores(one.scores) | {"distinct_words": {"value": one.scored.distinct_words}}
            for one in self.captioners
        }
        return {
            "pictures": len(self.pictures),
            "captions": captions,
            "retrieval": {one.name: _scores(one.scores) for one in self.encoders},
            "retrieval, drawn scenes": {one.name: _scores(one.scores) for one in self.drawn},
        }


def _scores(scores: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {
        name: {"value": round(one.value, 6), "low": round(one.low, 6), "high": round(one.high, 6)}
        for name, one in scores.items()
    }


@dataclass(frozen=True)
class Metric:
    """How one score is shown; `better` is 1 where more is better, -1 where less is, 0 where neither."""

    key: str
    label: str
    scale: float = 1
    digits: int = 1
    better: int = 1
    note: str = ""

    def text(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f}"


CAPTIONS = (
    Metric("rouge_l", "ROUGE-L", 100),
    Metric("rouge1", "ROUGE-1", 100),
    Metric("rouge2", "ROUGE-2", 100),
    *(Metric(f"bleu{n}", f"BLEU-{n}", 100) for n in range(1, 5)),
    Metric("meteor", "METEOR", 100),
    Metric("cider", "CIDEr-D", digits=3),
    Metric("distinct_words", "Distinct words", digits=0, better=0, note="in all captions together"),
    Metric("novel", "New captions", 100, better=0, note="percent, word for word not in training"),
    Metric("mean_length", "Mean length", better=0, note="words"),
)
SEARCH = (
    Metric("r1", "R@1", note="percent"),
    Metric("r5", "R@5"),
    Metric("r10", "R@10"),
    Metric("median_rank", "Median rank", digits=0, better=-1),
)
WORDS = (*SEARCH, Metric("map", "mAP", digits=3, note="one right picture, so the mean reciprocal rank"))
PICTURES = (*SEARCH, Metric("map", "mAP", digits=3, note="over all captions of a picture"))


@dataclass(frozen=True)
class Cell:
    """A score as text; low, value and high also as shares of the row's scale; how it stands to the first column."""

    text: str
    interval: str = ""
    places: tuple[float, float, float] | None = None
    change: str = ""
    verdict: str = ""  # "better", "worse", "same", or nothing


@dataclass(frozen=True)
class Row:
    label: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def to_text(self) -> str:
        """For a terminal."""
        lines = [[self.title, *self.columns]]
        lines += [[row.label, *(f"{cell.text:>6}  {cell.interval}" for cell in row.cells)] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("   ".join(map(str.ljust, line, widths)).rstrip() for line in lines) + "\n"


def tables(findings: Findings) -> list[Table]:
    """Captions first; then words to pictures and pictures to words; then the same for drawn scenes."""
    found = [_caption_table(findings.captioners)] if findings.captioners else []
    for ranked, where in ((findings.encoders, ""), (findings.drawn, ", drawn scenes")):
        if ranked:
            found.append(_search_table(f"Words → picture{where}", ranked, "text_to_picture", WORDS))
            found.append(_search_table(f"Picture → words{where}", ranked, "picture_to_text", PICTURES))
    return found


def _caption_table(captioners: Sequence[CaptionFindings]) -> Table:
    columns: list[dict[str, Estimate | float]] = [
        {**one.scores, "distinct_words": one.scored.distinct_words} for one in captioners
    ]
    return _table("Captions", [one.name for one in captioners], columns, CAPTIONS)


def _search_table(title: str, encoders: Sequence[SearchFindings], way: str, metrics: Sequence[Metric]) -> Table:
    columns: list[dict[str, Estimate | float]] = [
        {key.removeprefix(f"{way}_"): score for key, score in one.scores.items() if key.startswith(way)}
        for one in encoders
    ]
    return _table(title, [one.name for one in encoders], columns, metrics)


def _table(
    title: str, names: Sequence[str], columns: Sequence[dict[str, Estimate | float]], metrics: Sequence[Metric]
) -> Table:
    rows = [
        Row(metric.label, metric.note, _cells(metric, [column.get(metric.key) for column in columns]))
        for metric in metrics
        if any(metric.key in column for column in columns)
    ]
    return Table(title, tuple(names), tuple(rows))


def _cells(metric: Metric, scores: Sequence[Estimate | float | None]) -> tuple[Cell, ...]:
    estimates = [score for score in scores if isinstance(score, Estimate)]
    full = max((one.high for one in estimates), default=1.0) or 1.0
    return tuple(_cell(metric, score, scores[0] if number else None, full) for number, score in enumerate(scores))


def _cell(metric: Metric, score: Estimate | float | None, first: Estimate | float | None, full: float) -> Cell:
    if score is None:
        return Cell("–")
    if not isinstance(score, Estimate):
        return Cell(metric.text(score))
    interval = f"{metric.text(score.low)} – {metric.text(score.high)}"
    places = (score.low / full, score.value / full, score.high / full)
    if not isinstance(first, Estimate) or not metric.better:
        return Cell(metric.text(score.value), interval, places)
    change = score - first
    return Cell(
        metric.text(score.value),
        interval,
        places,
        f"{change.value * metric.scale:+.{metric.digits}f}".replace("-", "−"),
        _verdict(metric, change),
    )


def _verdict(metric: Metric, change: Estimate) -> str:
    if change.low <= 0 <= change.high:
        return "same"
    return "better" if change.value * metric.better > 0 else "worse"
