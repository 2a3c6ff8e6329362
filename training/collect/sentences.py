"""Sentences to find pictures for, kept in a file without near-duplicates.

Without a language model they are drawn at random from a small grammar; the same seed gives the same sentences.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from tqdm import tqdm

from imagetext.wire.errors import InvalidParameter, Unavailable
from training.collect.collection import Journal

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


_PATIENCE = 300  # sentences in a row that are not new


@dataclass(frozen=True)
class Sentence:
    """`source` is a model's name or "grammar"."""

    text: str
    source: str
    topic: str = ""


def read_sentences(journal: Journal) -> list[Sentence]:
    """Raises InvalidParameter when the file has something else in it."""
    return [_sentence(record, journal) for record in journal.read()]


def _sentence(record: dict[str, Any], journal: Journal) -> Sentence:
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise InvalidParameter(f"{journal.file} has a line without a `text`.")
    return Sentence(text, str(record.get("source", "")), str(record.get("topic", "")))


def gather(journal: Journal, offered: Iterable[Sentence], number: int, near: float) -> int:
    """Take what is new from `offered` until the file holds `number` sentences. Returns how many were not new.

    Raises:
        Unavailable: the source has nothing new any more.
    """
    said = Said(near)
    for known in read_sentences(journal):
        said.add(known.text)
    repeated = in_a_row = 0
    if len(said) >= number:
        return 0
    with tqdm(total=number, initial=len(said), desc="sentences", unit="sentence") as bar:
        for sentence in offered:
            if said.is_new(sentence.text):
                said.add(sentence.text)
                journal.append(asdict(sentence))
                bar.update()
                in_a_row = 0
            else:
                repeated, in_a_row = repeated + 1, in_a_row + 1
            if len(said) >= number:
                return repeated
            if in_a_row >= _PATIENCE:
                break
    raise Unavailable(f"Nothing new comes any more: {len(said)} of {number} sentences are in {journal.file}.")


START = "sentence"
_SYMBOL = re.compile(r"\{(\w+)\}")
_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou])")


class Grammar:
    """Rules: a symbol -> its alternatives, in which {other symbols} stand."""

    def __init__(self, rules: Mapping[str, list[str]]) -> None:
        """Raises InvalidParameter when a symbol has no rule or stands for itself."""
        used = {name: {other for text in texts for other in _SYMBOL.findall(text)} for name, texts in rules.items()}
        missing = sorted(set().union({START}, *used.values()) - {name for name, texts in rules.items() if texts})
        if missing:
            raise InvalidParameter(f"The grammar has no rule for: {', '.join(missing)}.")
        try:
            TopologicalSorter(used).prepare()
        except CycleError as error:
            raise InvalidParameter(f"The grammar goes round in a circle: {' -> '.join(error.args[1])}.") from error
        self._rules = rules

    def draw(self, random: Random) -> str:
        text = _SYMBOL.sub(lambda symbol: self._expanded(symbol[1], random), f"{{{START}}}")
        text = _VOWEL.sub(r"\1n ", text)
        return f"{text[0].upper()}{text[1:]}."

    def _expanded(self, name: str, random: Random) -> str:
        chosen = random.choice(self._rules[name])
        return _SYMBOL.sub(lambda symbol: self._expanded(symbol[1], random), chosen)

    def sentences(self, seed: int) -> Iterator[Sentence]:
        """Endless; some come twice."""
        random = Random(seed)
        while True:
            yield Sentence(self.draw(random), "grammar")


def read_grammar(file: Path) -> Grammar:
    """Raises InvalidParameter when the file is no TOML table of lists of texts, or its rules do not hold together."""
    try:
        rules = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"{file} is not a readable TOML file.") from error
    for name, texts in rules.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InvalidParameter(f"{file.name}: {name} must be a list of texts.")
    return Grammar(rules)
