"""A collection on disk:

<folder>/pictures/<hash>.jpg     the files as they came
<folder>/searches.jsonl          a line for each sentence: what was found for it, what was lost, and why
<folder>/decisions.jsonl         what a person said of each picture
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagetext.errors import InvalidParameter
from training.collect.candidate import Loss
from training.collect.journal import Journal
from training.data.pictures import write_picture


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
