"""Texts to token ids without transformers: the tokenizer's files lie beside the exported networks."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as Splitter

from imagetext.models.captioner.vocabulary import PAD, START, Vocabulary
from imagetext.wire.errors import ModelError

Ids = NDArray[np.int64]  # (n, steps)

SUBWORDS, WORDS = "tokenizer.json", "vocabulary.txt"


class Tokenizer(Protocol):
    """Texts -> token ids (n, steps), padded, and what else a network takes beside them."""

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, ...]: ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write its file, and return the entry that `load_tokenizer` takes."""
        ...


class SubwordTokenizer:
    """A tokenizer of the library tokenizers, such as BERT's or CLIP's; texts are cut to `max_tokens`."""

    def __init__(self, splitter: Splitter, *, with_mask: bool) -> None:
        """
        Args:
            splitter: with truncation and padding set.
            with_mask: whether the network also takes which tokens count (n, steps).
        """
        self._splitter = splitter
        self._with_mask = with_mask

    @classmethod
    def of(
        cls, splitter: Splitter, max_tokens: int, pad: int, *, with_mask: bool, pad_token: str
    ) -> "SubwordTokenizer":
        """A copy, because a wrapper's settings at every call take longer than the work itself."""
        splitter = deepcopy(splitter)
        splitter.enable_truncation(max_tokens)
        splitter.enable_padding(pad_id=pad, pad_token=pad_token)
        return cls(splitter, with_mask=with_mask)

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, ...]:
        found = self._splitter.encode_batch_fast(list(texts))
        ids = np.array([text.ids for text in found], dtype=np.int64)
        if not self._with_mask:
            return (ids,)
        return ids, np.array([text.attention_mask for text in found], dtype=np.int64)

    def save(self, folder: Path) -> dict[str, Any]:
        self._splitter.save(str(folder / SUBWORDS))
        return {"file": SUBWORDS, "with_mask": self._with_mask}


class WordTokenizer:
    """Whole words by a vocabulary, each text beginning with the start token and cut to `max_words`."""

    def __init__(self, vocabulary: Vocabulary, max_words: int) -> None:
        self._vocabulary = vocabulary
        self._max_words = max_words

    def __call__(self, texts: Sequence[str]) -> tuple[Ids]:
        return (word_ids(texts, self._vocabulary, self._max_words),)

    def save(self, folder: Path) -> dict[str, Any]:
        self._vocabulary.write(folder / WORDS)
        return {"file": WORDS, "max_words": self._max_words}


def word_ids(texts: Sequence[str], vocabulary: Vocabulary, max_words: int) -> Ids:
    """Word ids (n, steps), each beginning with the start token, padded with 0 and cut to `max_words`."""
    rows = [[START, *vocabulary.encode(text)[:max_words]] for text in texts]
    ids = np.full((len(rows), max(len(row) for row in rows)), PAD, dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids


def load_tokenizer(folder: Path, facts: dict[str, Any]) -> Tokenizer:
    """What `save` wrote. Raises ModelError where it is missing or damaged."""
    try:
        if facts["file"] == WORDS:
            return WordTokenizer(Vocabulary.read(folder / WORDS), facts["max_words"])
        return SubwordTokenizer(Splitter.from_file(str(folder / SUBWORDS)), with_mask=facts["with_mask"])
    except Exception as error:  # tokenizers raises plain Exceptions
        raise ModelError(f"The tokenizer in {folder} is damaged: delete the folder.") from error
