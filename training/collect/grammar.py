"""Sentences without a language model: drawn by chance from the rules of a small grammar, the same for the same seed."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from random import Random

from imagetext.errors import InvalidParameter
from training.collect.sentence import Sentence

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
