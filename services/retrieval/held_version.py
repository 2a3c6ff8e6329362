"""An open version with the changes since, kept open as long as anybody uses it."""

from dataclasses import dataclass
from pathlib import Path

from imagetext.index import Collection, IndexReader
from imagetext.index.journal import JournalReader


@dataclass
class HeldVersion:
    """A version with the count of its users; but for `read_on`, all of this runs on the event loop."""

    reader: IndexReader
    journal: JournalReader
    collection: Collection
    users: int = 0
    retired: bool = False

    def release(self) -> None:
        self.users -= 1
        self._close_if_unused()

    @classmethod
    def of(cls, reader: IndexReader, folder: Path) -> "HeldVersion":
        """In a thread; with all changes until now."""
        journal = JournalReader(folder, reader.merged)
        return cls(reader, journal, Collection.of(reader).changed(journal.read()))

    def read_on(self) -> Collection:
        """In a thread."""
        return self.collection.changed(self.journal.read())

    def retire(self) -> None:
        self.retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self.retired and self.users == 0:
            self.reader.close()
