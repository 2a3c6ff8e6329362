"""Rankings of pictures for texts and of texts for pictures, their scores, and intervals of scores by the bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Rows = NDArray[np.intp]

CUTOFFS = (1, 5, 10)  # of recall
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True, eq=False)
class Estimate:
    """A score of all pictures, and of each resample (Efron, 1979; percentile interval)."""

    value: float
    samples: NDArray[np.float64]

    @property
    def low(self) -> float:
        return float(np.percentile(self.samples, INTERVAL[0]))

    @property
    def high(self) -> float:
        return float(np.percentile(self.samples, INTERVAL[1]))

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference on the same resamples, which is more precise than comparing two intervals."""
        return Estimate(self.value - other.value, self.samples - other.samples)


def bootstrap(
    scores: Callable[[Rows], dict[str, float]], pictures: int, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Estimates of all scores that `scores` gives for rows of pictures.

    Pictures are drawn with replacement, not captions, since the captions of one picture are similar. The same seed and
    number of pictures give the same resamples, so estimates of two models can be subtracted.
    """
    generator = np.random.default_rng(seed)
    whole = scores(np.arange(pictures))
    drawn = [
        scores(generator.integers(pictures, size=pictures))
        for _ in tqdm(range(resamples), desc="resamples", leave=False)
    ]
    return {name: Estimate(value, np.array([one[name] for one in drawn])) for name, value in whole.items()}


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranks count from 0: the number of more similar others.

    Attributes:
        similarity: (texts, pictures).
        owner: (texts,), the picture of each text.
        text_rank: (texts,), the rank of each text's picture.
        picture_rank: (pictures,), the rank of the best of each picture's own texts.
        precision: (pictures,), average precision over each picture's own texts.
    """

    similarity: NDArray[np.float32]
    owner: NDArray[np.intp]
    text_rank: NDArray[np.intp]
    picture_rank: NDArray[np.intp]
    precision: NDArray[np.float64]

    def scores(self, rows: Rows) -> dict[str, float]:
        """Both ways for some pictures, each as often as it stands in `rows`: recall at 1, 5 and 10 in percent, median
        rank from 1, and mean average precision in [0, 1].

        A text has one right picture, so its average precision is the reciprocal rank; a picture's is over all its
        texts (Manning et al., 2008, section 8.4). What is searched stays the whole set.
        """
        times = np.bincount(rows, minlength=len(self.picture_rank))
        text_rank = np.repeat(self.text_rank, times[self.owner])
        ways = (
            ("text_to_picture", text_rank, 1 / (text_rank + 1)),
            ("picture_to_text", self.picture_rank[rows], self.precision[rows]),
        )
        found: dict[str, float] = {}
        for way, rank, precision in ways:
            found |= {f"{way}_r{k}": float((rank < k).mean()) * 100 for k in CUTOFFS}
            found[f"{way}_median_rank"] = float(np.floor(np.median(rank)) + 1)
            found[f"{way}_map"] = float(precision.mean())
        return found


def rank(texts: NDArray[np.float32], pictures: NDArray[np.float32], owner: Sequence[int]) -> Ranking:
    """Rank unit rows of texts (m, d) and pictures (n, d) against each other; every picture owns a text."""
    similarity = texts @ pictures.T
    owners = np.asarray(owner, dtype=np.intp)
    own = similarity[np.arange(len(owners)), owners]
    text_rank = (similarity > own[:, None]).sum(1)
    picture_rank = np.empty(len(pictures), dtype=np.intp)
    precision = np.empty(len(pictures))
    for picture, column in enumerate(similarity.T):
        mine = owners == picture
        right = np.sort(column[mine])[::-1]
        wrong = np.sort(column[~mine])
        above = len(wrong) - np.searchsorted(wrong, right, side="right")  # wrong ones before each right one
        nth = np.arange(1, len(right) + 1)
        picture_rank[picture] = above[0]
        precision[picture] = (nth / (above + nth)).mean()
    return Ranking(similarity, owners, text_rank, picture_rank, precision)


def retrieval_scores(
    texts: NDArray[np.float32], pictures: NDArray[np.float32], owner: Sequence[int]
) -> dict[str, float]:
    """Recall at 1, 5, 10 in percent and median rank, both ways; `owner[i]` is the picture of text i.

    Texts (m, d) and pictures (n, d) are unit rows. Picture to text takes the best of the picture's own captions.
    """
    found = rank(texts, pictures, owner).scores(np.arange(len(pictures)))
    return {name: round(score, 1) for name, score in found.items() if not name.endswith("_map")}


def clip_scores(texts: NDArray[np.float32], pictures: NDArray[np.float32], captions: Sequence[int]) -> dict[str, float]:
    """Recall at 1, 5 and 10 in percent, median rank and mean average precision, both ways.

    Texts (m, d) and pictures (n, d) are unit rows, the texts in the order of the pictures; `captions` (n,) tells how
    many each picture has.
    """
    owner = [picture for picture, count in enumerate(captions) for _ in range(count)]
    found = rank(texts, pictures, owner).scores(np.arange(len(pictures)))
    return {name: round(value, 4 if name.endswith("_map") else 2) for name, value in found.items()}
