"""Which sentences say nothing new."""

import re
from collections import defaultdict
from math import ceil

NEAR = 0.7  # Jaccard similarity from which two sentences count as one
_SHINGLE = 4  # characters: short enough that "runs" and "running" share some
_EMPTY = frozenset({"a", "an", "the", "is", "are"})


def normalised(text: str) -> str:
    """Lower-case words without articles, auxiliaries, digits and punctuation."""
    return " ".join(word for word in re.findall(r"[^\W\d_]+", text.lower()) if word not in _EMPTY)


class Said:
    """Remembers sentences by the shingles of their normalised words (Broder, "On the resemblance", 1997)."""

    def __init__(self, near: float = NEAR) -> None:
        self.near = near
        self._exact: set[str] = set()
        self._shingles: list[set[str]] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._shingles)

    def is_new(self, text: str) -> bool:
        """Whether neither this sentence nor a near one was added."""
        words = normalised(text)
        if words in self._exact:
            return False
        shingles = _shingles(words)
        # Whoever shares the needed part of them has at least one of the rarest (Chaudhuri et al., prefix filter, 2006).
        rarest = sorted(shingles, key=lambda shingle: len(self._holders.get(shingle, ())))
        rarest = rarest[: len(shingles) - ceil(self.near * len(shingles)) + 1]
        holders = {holder for shingle in rarest for holder in self._holders.get(shingle, ())}
        return all(_similarity(shingles, self._shingles[holder]) < self.near for holder in holders)

    def add(self, text: str) -> None:
        words = normalised(text)
        shingles = _shingles(words)
        self._exact.add(words)
        for shingle in shingles:
            self._holders[shingle].append(len(self._shingles))
        self._shingles.append(shingles)


def _shingles(words: str) -> set[str]:
    return {words[at : at + _SHINGLE] for at in range(max(1, len(words) - _SHINGLE + 1))}


def _similarity(one: set[str], other: set[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
