"""What an evaluation found."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.bootstrap import Estimate
from training.dataset import CaptionedPicture
from training.ranking import Ranking
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
