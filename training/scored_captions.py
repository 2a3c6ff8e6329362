"""Captions of a set of pictures with their contributions to every score, so that any subset can be scored fast."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from imagetext.models.captioner.vocabulary import words_of
from training.meteor import meteor_of
from training.metrics import CiderD, bleu_counts, bleu_of, rouge_l, rouge_n
from training.ranking import Rows


class ScoredCaptions:
    """One caption and its references for each picture.

    Args:
        captions: as the captioner wrote them.
        references: for each caption at least one.
        known: captions that do not count as new, usually those of training.
        meteor: rows of `meteor_counts`, where METEOR can be had.
    """

    def __init__(
        self,
        captions: Sequence[str],
        references: Sequence[Sequence[str]],
        known: Collection[str] | None = None,
        meteor: NDArray[np.float64] | None = None,
    ) -> None:
        self.captions = captions
        self.words = [words_of(caption) for caption in captions]
        wanted = [[words_of(reference) for reference in one] for one in references]
        pairs = list(zip(self.words, wanted, strict=True))
        cider = CiderD(wanted)
        self.bleu = np.array([bleu_counts(c, r) for c, r in pairs])
        self.meteor = meteor
        self.means = {
            "rouge_l": np.array([rouge_l(c, r) for c, r in pairs]),
            "rouge1": np.array([rouge_n(c, r, 1) for c, r in pairs]),
            "rouge2": np.array([rouge_n(c, r, 2) for c, r in pairs]),
            "cider": np.array([cider.score(c, [cider.vector(w) for w in r]) for c, r in pairs]),
            "mean_length": np.array([float(len(c)) for c in self.words]),
        }
        if known is not None:
            old = {tuple(words_of(caption)) for caption in known}
            self.means["novel"] = np.array([float(tuple(c) not in old) for c in self.words])

    def scores(self, rows: Rows) -> dict[str, float]:
        """Scores of some pictures, each as often as it stands in `rows`.

        CIDEr's document frequencies stay those of all references; from the whole set they are the toolkit's.
        """
        found = {f"bleu{n}": score for n, score in enumerate(bleu_of(self.bleu[rows].sum(0).tolist()), 1)}
        if self.meteor is not None:
            found["meteor"] = meteor_of(self.meteor[rows])
        return found | {name: float(values[rows].mean()) for name, values in self.means.items()}

    @property
    def distinct_words(self) -> int:
        return len({word for words in self.words for word in words})
