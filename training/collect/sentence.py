"""Sentences to find pictures for, gathered in a file that is never lost and never says anything twice."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from imagetext.errors import InvalidParameter, Unavailable
from training.collect.duplicates import Said
from training.collect.journal import Journal

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
