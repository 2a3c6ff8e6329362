"""Caption metrics by the definitions of the COCO caption toolkit (Chen et al., 2015), in plain Python.

Captions are compared as lists of words (`vocabulary.words_of`). Checked against the toolkit's own
scores of four published models: see tests/training/test_metrics.py.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Words = Sequence[str]
NGram = tuple[str, ...]

CIDER_ORDER = 4
CIDER_SIGMA = 6.0  # of the length penalty
ROUGE_BETA = 1.2


def ngrams(words: Words, order: int = 4) -> Counter[NGram]:
    """How often each run of 1 to `order` words occurs."""
    return Counter(tuple(words[i : i + n]) for n in range(1, order + 1) for i in range(len(words) - n + 1))


def bleu_counts(candidate: Words, references: Sequence[Words], order: int = 4) -> list[int]:
    """What one caption adds to corpus BLEU: its words, the closest reference's words, then for each order the n-grams
    that a reference has too, and for each order all n-grams."""
    closest = min((abs(len(r) - len(candidate)), len(r)) for r in references)[1]
    ceiling: Counter[NGram] = Counter()
    for reference in references:
        ceiling |= ngrams(reference, order)
    matched, possible = [0] * order, [0] * order
    for gram, count in ngrams(candidate, order).items():
        matched[len(gram) - 1] += min(count, ceiling[gram])
        possible[len(gram) - 1] += count
    return [len(candidate), closest, *matched, *possible]


def bleu_of(counts: Sequence[int]) -> list[float]:
    """Corpus BLEU-1, BLEU-2 ... in [0, 1] from the sum of `bleu_counts`; no smoothing (Papineni et al., 2002)."""
    length, closest, *rest = counts
    order = len(rest) // 2
    brevity = min(1.0, math.exp(1 - closest / length)) if length else 0.0
    scores, product = [], 1.0
    for n, (matched, possible) in enumerate(zip(rest[:order], rest[order:], strict=True), 1):
        product *= matched / possible if possible else 0.0
        scores.append(brevity * product ** (1 / n))
    return scores


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]], order: int = 4) -> list[float]:
    """Corpus BLEU-1 to BLEU-`order` in [0, 1], closest reference length, no smoothing."""
    counts = [bleu_counts(c, r, order) for c, r in zip(candidates, references, strict=True)]
    return bleu_of([sum(column) for column in zip(*counts, strict=True)])


def rouge_n(candidate: Words, references: Sequence[Words], n: int) -> float:
    """ROUGE-N of one caption in [0, 1] (Lin, 2004): F1 of n-grams with the best reference, as the package rouge-score
    counts it without stemming."""
    mine = _grams(candidate, n)
    return max(_f1(mine, _grams(reference, n)) for reference in references)


def _grams(words: Words, n: int) -> Counter[NGram]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def _f1(mine: Counter[NGram], wanted: Counter[NGram]) -> float:
    total = mine.total() + wanted.total()
    return 2 * (mine & wanted).total() / total if total else 0.0


def rouge_l(candidate: Words, references: Sequence[Words]) -> float:
    """ROUGE-L of one caption in [0, 1], beta 1.2 (Lin, 2004); precision and recall are each the best reference's."""
    if not candidate:
        return 0.0
    common = [_longest_common_subsequence(candidate, reference) for reference in references]
    precision = max(c / len(candidate) for c in common)
    recall = max(c / len(r) if r else 0.0 for c, r in zip(common, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def _longest_common_subsequence(a: Words, b: Words) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


class CiderD:
    """CIDEr-D (Vedantam et al., 2015): n = 1 to 4, sigma 6, clipped counts, times 10, so the range is [0, 10].

    The document frequencies come from the reference corpus given at the start, once, so that single captions can be
    scored fast, for instance as a reward.
    """

    def __init__(self, corpus: Iterable[Sequence[Words]]) -> None:
        documents = [set().union(*map(ngrams, references)) for references in corpus]
        frequency = Counter(gram for document in documents for gram in document)
        self._log_size = math.log(max(len(documents), 1))
        self._idf = {gram: self._log_size - math.log(count) for gram, count in frequency.items()}

    def vector(self, words: Words) -> "CiderVector":
        return CiderVector({g: c * self._idf.get(g, self._log_size) for g, c in ngrams(words).items()}, len(words))

    def score(self, candidate: Words, references: Sequence["CiderVector"]) -> float:
        """One caption against the vectors of its references."""
        mine = self.vector(candidate)
        return 10 * sum(mine.similarity(reference) for reference in references) / len(references)


class CiderVector:
    """TF-IDF weights of one caption's n-grams."""

    def __init__(self, weights: Mapping[NGram, float], length: int) -> None:
        self.weights = weights
        self.length = length
        squares = [0.0] * CIDER_ORDER
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight * weight
        self.norms = [math.sqrt(square) for square in squares]

    def similarity(self, reference: "CiderVector") -> float:
        products = [0.0] * CIDER_ORDER
        for gram, weight in self.weights.items():
            wanted = reference.weights.get(gram)
            if wanted is not None:
                products[len(gram) - 1] += min(weight, wanted) * wanted
        cosines = (
            p / (a * b) if a and b else 0.0 for p, a, b in zip(products, self.norms, reference.norms, strict=True)
        )
        # The toolkit counts lengths in bigrams; the difference is the same.
        penalty = math.exp(-((self.length - reference.length) ** 2) / (2 * CIDER_SIGMA**2))
        return penalty * sum(cosines) / CIDER_ORDER


def caption_scores(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """BLEU-1..4, ROUGE-L and CIDEr-D of a whole set; document frequencies from its references, as in the toolkit."""
    cider = CiderD(references)
    pairs = list(zip(candidates, references, strict=True))
    bleus = {f"bleu{n}": score for n, score in enumerate(bleu(candidates, references), 1)}
    return bleus | {
        "rouge_l": sum(rouge_l(c, r) for c, r in pairs) / len(pairs),
        "cider": sum(cider.score(c, [cider.vector(w) for w in r]) for c, r in pairs) / len(pairs),
    }
