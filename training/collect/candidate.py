"""What a provider of pictures gives for a sentence, and the words with which it is asked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_FEWER = (4, 3, 2)  # words of the looser searches
_SMALL_WORDS = frozenset(
    """
    a an the and or but of in on at by to from with without for into onto over under above below behind beside between
    through across along around near next front out up down off as while is are was be being been has have its his her
    their it he she they them this that there some two three four several many one
    """.split()  # noqa: SIM905 - a list of 60 strings is hard to read
)


@dataclass(frozen=True)
class Candidate:
    """A picture that may show the sentence: where its file is, and whose it is."""

    address: str
    source_url: str
    author: str
    licence: str
    licence_url: str


@dataclass(frozen=True)
class Loss:
    """What did not become a picture: the kind is counted, the reason is for people."""

    kind: str
    reason: str
    address: str = ""


class Provider(Protocol):
    """Looks for pictures somewhere. `name` is written beside each picture."""

    name: str

    def search(self, sentence: str) -> Iterator[Candidate | Loss]:
        """Candidates, best first, found as they are taken.

        Raises:
            Busy, Unavailable, DeadlineExceeded: nothing can be searched now; the whole run stops and goes on later.
            InvalidParameter: nothing can ever be searched like this.
        """


def searches(sentence: str) -> list[str]:
    """The words that matter, then fewer and fewer of them: search engines want all words they are given."""
    words = [word for word in re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", sentence.lower()) if word not in _SMALL_WORDS]
    return [" ".join(words)] * bool(words) + [" ".join(words[:count]) for count in _FEWER if count < len(words)]
