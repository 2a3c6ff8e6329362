"""What a person said: written down at once, and never forgotten, not even what was undone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from imagetext.errors import InvalidParameter, NotFound
from training.collect.folder import CollectionFolder, FoundPicture, all_pictures

Verdict = Literal["accepted", "rejected"]
_CHARACTERS = range(3, 301)


@dataclass(frozen=True)
class Decision:
    """`text` is the sentence as the person left it."""

    id: str
    verdict: Verdict
    text: str


class Review:
    """The pictures of a collection with their decisions. The last decision for a picture holds."""

    def __init__(self, folder: CollectionFolder) -> None:
        self.pictures = {picture.id: picture for picture in all_pictures(folder.read())}
        self._journal = folder.decisions
        self._made: list[Decision] = []
        for record in self._journal.read():
            if record.get("verdict") == "undone":
                self._made = self._made[:-1]
            elif record.get("verdict") in ("accepted", "rejected") and record.get("id") in self.pictures:
                self._made.append(Decision(record["id"], record["verdict"], str(record["text"])))

    @property
    def decisions(self) -> dict[str, Decision]:
        return {decision.id: decision for decision in self._made}

    @property
    def waiting(self) -> Sequence[FoundPicture]:
        """In the order in which they were found."""
        decided = self.decisions
        return [picture for picture in self.pictures.values() if picture.id not in decided]

    def picture(self, id: str) -> FoundPicture:
        """Raises NotFound."""
        if id not in self.pictures:
            raise NotFound("There is no such picture in this collection.")
        return self.pictures[id]

    def decide(self, id: str, verdict: Verdict, text: str) -> None:
        """On the disk when this returns.

        Raises:
            NotFound: there is no such picture.
            InvalidParameter: the sentence is empty or far too long.
        """
        self.picture(id)
        text = " ".join(text.split())
        if verdict == "accepted" and len(text) not in _CHARACTERS:
            raise InvalidParameter(f"A sentence has {_CHARACTERS[0]} to {_CHARACTERS[-1]} characters.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._journal.append({"id": id, "verdict": verdict, "text": text, "at": now})
        self._made.append(Decision(id, verdict, text))

    def undo(self) -> str | None:
        """Take the last decision back. Returns its picture, or None when there is none left."""
        if not self._made:
            return None
        self._journal.append({"verdict": "undone", "at": datetime.now(UTC).isoformat(timespec="seconds")})
        return self._made.pop().id

    def accepted(self) -> list[tuple[FoundPicture, str]]:
        """The pictures that may be trained with, each with its sentence."""
        decided = self.decisions.values()
        return [(self.pictures[one.id], one.text) for one in decided if one.verdict == "accepted"]
