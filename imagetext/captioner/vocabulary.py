"""The words a captioner knows."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def words_of(caption: str) -> list[str]:
    """Lower-case words without punctuation; equal to Karpathy's tokens on Flickr8k."""
    return re.findall(r"[a-z0-9]+", caption.lower().replace("'", ""))


class Vocabulary:
    """Words by id; the four special tokens come first."""

    start = START
    end = END
    banned = (PAD, START, UNKNOWN)  # in a sentence

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: number for number, word in enumerate((*SPECIAL, *words))}

    def __len__(self) -> int:
        return len(self._ids)

    @classmethod
    def of(cls, captions: Iterable[str], min_count: int) -> "Vocabulary":
        """The words seen at least `min_count` times, most frequent first."""
        counts = Counter(word for caption in captions for word in words_of(caption))
        return cls([word for word, count in sorted(counts.items(), key=lambda p: (-p[1], p[0])) if count >= min_count])

    @classmethod
    def read(cls, file: Path) -> "Vocabulary":
        return cls(file.read_text(encoding="utf-8").split())

    def write(self, file: Path) -> None:
        file.write_text("\n".join(self.words) + "\n", encoding="utf-8")

    def encode(self, caption: str) -> list[int]:
        """The ids of a caption's words, without start and end."""
        return [self._ids.get(word, UNKNOWN) for word in words_of(caption)]

    def word(self, token: int) -> str:
        return self.words[token - len(SPECIAL)] if token >= len(SPECIAL) else SPECIAL[token]

    def decode(self, tokens: Iterable[int]) -> str:
        return " ".join(self.word(token) for token in tokens if token >= len(SPECIAL))
