"""Records that survive a crash: JSON objects, one a line, each on the disk before the next step begins.

What a provider of pictures gives for a sentence, and the words with which it is asked.

A collection on disk:

<folder>/pictures/<hash>.jpg     the files as they came
<folder>/searches.jsonl          a line for each sentence: what was found for it, what was lost, and why
<folder>/decisions.jsonl         what a person said of each picture
"""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from imagetext.wire.errors import Busy, InvalidParameter
from training.data.records import write_picture


class Journal:
    """A file that only grows."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> list[dict[str, Any]]:
        """All records; a last line that a crash has torn is cut off.

        Raises:
            InvalidParameter: a line is not a JSON object.
        """
        if not self.file.exists():
            return []
        content = self.file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.file, whole)
        return [self._record(number, line) for number, line in enumerate(content[:whole].splitlines(), 1)]

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise InvalidParameter(f"Line {number} of {self.file} is not a JSON object.")
        return record

    def append(self, record: dict[str, Any]) -> None:
        """On the disk when this returns."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as out:
            out.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            out.flush()
            os.fsync(out.fileno())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing; the system lets go even of a killed one's hold.

        Raises:
            Busy: another process holds it.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_name(f".{self.file.name}.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"Another process is writing {self.file}; wait for its end.") from error
            yield


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


@dataclass(frozen=True)
class FoundPicture:
    """A picture with its sentence, and whose it is; `path` is relative to the folder, `provider` says who found it."""

    path: str
    text: str
    text_source: str
    provider: str
    address: str
    source_url: str
    author: str
    licence: str
    licence_url: str
    width: int
    height: int
    sha256: str
    dhash: str
    phash: str

    @property
    def id(self) -> str:
        return self.sha256[:16]


@dataclass(frozen=True)
class Search:
    """What came of one sentence."""

    text: str
    pictures: tuple[FoundPicture, ...]
    losses: tuple[Loss, ...]


class CollectionFolder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.searches = Journal(folder / "searches.jsonl")
        self.decisions = Journal(folder / "decisions.jsonl")

    def read(self) -> list[Search]:
        """The last search for each sentence. Raises InvalidParameter when the journal is not one of searches."""
        searches = [self._search(record) for record in self.searches.read()]
        return list({search.text: search for search in searches}.values())

    def _search(self, record: dict[str, Any]) -> Search:
        try:
            pictures = tuple(FoundPicture(**picture) for picture in record["pictures"])
            return Search(record["text"], pictures, tuple(Loss(**loss) for loss in record["losses"]))
        except (KeyError, TypeError) as error:
            raise InvalidParameter(f"{self.searches.file} is not a journal of searches.") from error

    def add(self, search: Search) -> None:
        self.searches.append(asdict(search))

    def keep(self, name: str, content: bytes) -> str:
        """Write a picture's file, all or nothing. Returns its path relative to the folder."""
        path = f"pictures/{name}"
        write_picture(self.folder / path, content)
        return path


def all_pictures(searches: Iterable[Search]) -> list[FoundPicture]:
    return [picture for search in searches for picture in search.pictures]
