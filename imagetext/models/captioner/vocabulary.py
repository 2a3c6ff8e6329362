"""The vocabulary of a captioner: whole words, or the word pieces of a BERT."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from imagetext.wire.errors import ModelError

WORDS, PIECES = "vocabulary.txt", "tokenizer.json"
PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def words_of(caption: str) -> list[str]:
    """Lower-case words without punctuation; equal to Karpathy's tokens on Flickr8k."""
    return re.findall(r"[a-z0-9]+", caption.lower().replace("'", ""))


def with_articles(words: Sequence[str]) -> list[str]:
    """ "a" or "an" to fit the next word: a copied word comes without its article."""
    return [
        ("an" if _BEGINS_WITH_VOWEL.match(after) else "a") if word in ("a", "an") and after else word
        for word, after in zip(words, [*words[1:], ""], strict=True)
    ]


_BEGINS_WITH_VOWEL = re.compile(r"(?!one|uni|us[ei]|eu)[aeiou]|hour|honest")


class Words(Protocol):
    """What a captioner needs from its vocabulary."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def banned(self) -> tuple[int, ...]: ...  # in a sentence
    def word(self, token: int) -> str: ...
    def decode(self, tokens: Iterable[int]) -> str: ...
    def save(self, folder: Path) -> dict[str, Any]: ...  # its file; what is given back goes to `load_words`


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
        return " ".join(with_articles([self.word(token) for token in tokens if token >= len(SPECIAL)]))

    def save(self, folder: Path) -> dict[str, Any]:
        self.write(folder / WORDS)
        return {"file": WORDS}


class WordPieces:
    """A BERT tokenizer as a captioner's vocabulary."""

    def __init__(self, tokenizer: Tokenizer, start: int, end: int, special: Sequence[int]) -> None:
        """`special` are the ids of tokens that are not words."""
        self._tokenizer = tokenizer
        self._special = tuple(special)
        self.start = start
        self.end = end
        self.banned = tuple(sorted({start, *special} - {end}))

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def word(self, token: int) -> str:
        """The piece itself; one that continues a word begins with `##`."""
        return self._tokenizer.id_to_token(token) or ""

    def decode(self, tokens: Iterable[int]) -> str:
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        for written, meant in _SPACES:
            text = text.replace(written, meant)
        return text.replace(".", "").strip()

    def save(self, folder: Path) -> dict[str, Any]:
        self._tokenizer.save(str(folder / PIECES))
        return {"file": PIECES, "start": self.start, "end": self.end, "special": self._special}


# What transformers' `clean_up_tokenization_spaces` does, but for full stops, which no caption has.
_SPACES = (
    *((f" {mark}", mark) for mark in (".", "?", "!", ",")),
    (" ' ", "'"),
    *((f" {end}", end) for end in ("n't", "'m", "'s", "'ve", "'re")),
)


def load_words(folder: Path, facts: dict[str, Any]) -> Words:
    """What `save` wrote. Raises ModelError where it is missing or damaged."""
    try:
        if facts["file"] == WORDS:
            return Vocabulary.read(folder / WORDS)
        tokenizer = Tokenizer.from_file(str(folder / PIECES))
        return WordPieces(tokenizer, facts["start"], facts["end"], facts["special"])
    except Exception as error:  # tokenizers raises plain Exceptions
        raise ModelError(f"The vocabulary in {folder} is damaged: delete the folder.") from error
