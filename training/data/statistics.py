"""A data set in numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from training.data.record import SPLITS, Record


@dataclass(frozen=True)
class Statistics:
    """`words` are those between blanks, in lower case; `shorter_side` is in pixels."""

    splits: dict[str, int]
    captions: dict[str, int]
    captions_each: dict[str, float]
    words_each: dict[str, float]
    distinct_words: int
    shorter_side: dict[str, float]
    sources: dict[str, int]
    licences: dict[str, int]
    without_author: int
    without_address: int

    def to_dict(self) -> dict[str, Any]:
        return {"pictures": sum(self.splits.values()), **asdict(self)}

    def to_text(self) -> str:
        """A readable table."""
        lines = []
        for name, value in self.to_dict().items():
            if isinstance(value, dict):
                value = ", ".join(f"{key or 'unknown'} {_number(part)}" for key, part in value.items()) or "none"
            lines.append(f"{name.replace('_', ' '):<16} {value if isinstance(value, str) else _number(value)}")
        return "\n".join(lines) + "\n"


def statistics_of(records: Sequence[Record]) -> Statistics:
    words = [caption.lower().split() for record in records for caption in record.captions]
    captions = Counter(dict.fromkeys(SPLITS, 0))
    for record in records:
        captions[record.split] += len(record.captions)
    return Statistics(
        splits={split: sum(record.split == split for record in records) for split in SPLITS},
        captions=dict(captions),
        captions_each=_spread(len(record.captions) for record in records),
        words_each=_spread(len(caption) for caption in words),
        distinct_words=len({word for caption in words for word in caption}),
        shorter_side=_spread(min(record.width, record.height) for record in records),
        sources=dict(Counter(record.source for record in records).most_common()),
        licences=dict(Counter(record.licence for record in records).most_common()),
        without_author=sum(not record.author for record in records),
        without_address=sum(not record.source_url for record in records),
    )


def _spread(values: Iterable[int]) -> dict[str, float]:
    numbers = list(values)
    if not numbers:
        return {}
    return {"least": min(numbers), "median": median(numbers), "mean": round(fmean(numbers), 2), "most": max(numbers)}


def _number(value: float) -> str:
    return f"{value:,}"
